import re

from tests.support import PROJECT


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL)


def test_the_library_example_runs_as_it_stands() -> None:
    (example,) = blocks("python")
    names: dict[str, object] = {}
    exec(example.replace("print(", "shown = (", 1), names)
    shown = names["shown"]
    assert isinstance(shown, dict)
    assert shown.keys() == {"clean", "audio", "visual", "audiovisual"}
    assert shown["audiovisual"] <= shown["clean"]


def test_the_library_example_is_a_dozen_lines() -> None:
    (example,) = blocks("python")
    assert (
        len(
            [
                line
                for line in example.splitlines()
                if line and not line.startswith(("import", "from"))
            ]
        )
        <= 12
    )


def test_every_option_that_the_readme_names_exists_and_every_option_is_named() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", (PROJECT / "README.md").read_text(), re.MULTILINE)
    assert {group for group, _ in rows} >= {
        "dataset",
        "audio",
        "visual",
        "fusion",
        "attack",
        "threat",
        "trainer",
    }
    for group, options in rows:
        without_remarks = re.sub(r"\([^)]*\)", "", options)
        named = set(re.findall(r"`(\w+)`", without_remarks))
        assert named == {path.stem for path in (PROJECT / "configs" / group).glob("*.yaml")}, group
