"""What the four functions share."""

import gc

# Nothing that is imported becomes garbage, but Python would look for some 200 times meanwhile: a tenth of a cold start.
gc.set_threshold(50_000)
