"""However many columns a file has, and however long its names are, its run ends and its receipt stays readable."""

from tests.support.world import World

MANY = [f"A column with a rather long name, number {number}" for number in range(5000)]
LONGEST_WARNING_BYTES = 2000


def lengths(warnings: list[str]) -> list[int]:
    return [len(warning.encode()) for warning in warnings]


def csv_of(names: list[str]) -> bytes:
    return f"{';'.join(names)}\n{';'.join('1' for _ in names)}\n".encode()


def test_a_changed_header_of_many_columns_names_the_differences_first(world: World) -> None:
    world.add_export()
    world.answer_exports(csv_of(MANY))
    first = world.run_export("revenue").receipt
    renamed = [*MANY]
    renamed[4000] = "Another name"
    world.answer_exports(csv_of(renamed))

    second = world.run_export("revenue")

    assert (second.status, second.receipt["outcome"]) == (200, "published")
    (warning,) = (each for each in second.receipt["warnings"] if "header changed" in each)
    assert warning.startswith(
        f"The header changed since run {first['run']}. Renamed: {MANY[4000]} to Another name. Before: {MANY[0]}, "
    )
    assert warning.endswith(" more characters)")
    assert max(lengths(second.receipt["warnings"])) <= LONGEST_WARNING_BYTES


def test_thousands_of_warnings_are_cut_to_the_first(world: World) -> None:
    world.add_export(format="parquet", path="revenue.parquet")
    world.answer_exports(csv_of(["month"] * 300))

    answer = world.run_export("revenue")

    assert answer.receipt["outcome"] == "published", answer.body
    assert len(answer.receipt["warnings"]) == 50
    assert answer.receipt["warnings"][-1] == "There were more warnings, which are left out."


def test_columns_without_a_place_in_the_target_are_counted(world: World) -> None:
    fields = ["flights.day", "flights.carrier", *(f"flights.extra_{number}" for number in range(30))]
    for number in range(30):
        world.looker.explores["nyc", "flights"].dimension(f"extra_{number}", "1")
    world.looker.look(12, "Flights", "nyc", "flights", fields)
    world.add_pull("flights", target={"columns": [{"Flights Extra 1": "Flights Delay"}]})

    answer = world.run_pull("flights")

    left_out = "Columns that are not in target.columns were left out: Flights Day, Flights Carrier, Flights Extra 0, "
    assert answer.receipt["warnings"][0].startswith(left_out)
    assert answer.receipt["warnings"][0].endswith(" and 21 more.")


def test_the_longest_names_that_bridge_yaml_allows_are_written(world: World) -> None:
    job = "j" * 63
    path = "/".join(["é" * 100] * 4) + "/{run}/{date}/{time}" + "x" * 54
    world.add_export(job, path=path)
    world.add_pull(job.replace("j", "p"))
    world.answer_exports(b"a;b\n1;2\n")

    exported, pulled = world.run_export(job), world.run_pull(job.replace("j", "p"))

    assert exported.receipt["outcome"] == "published", exported.body
    (name,) = world.objects("exports/")
    assert len(name.encode()) == len("exports/") + 900
    assert pulled.receipt["outcome"] == "landed", pulled.body
