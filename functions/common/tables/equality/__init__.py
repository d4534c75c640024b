"""Compare what was sent to Pigment with what a block has (`comparing`): rows by key, cells by what they mean."""
