import pytest

from tools.readme_command import README, NotOneCommand, command


def block(name, body):
    return f"\n<!-- command: {name} -->\n```sh\n{body}\n```\n"


def test_the_readme_promises_exactly_one_command_to_run_and_one_to_test():
    text = README.read_text(encoding="utf-8")
    assert command(text, "run") == "pip install . && llmspell demo"
    assert command(text, "test") == "pip install -e '.[test]' && pytest"


def test_the_command_is_given_word_for_word():
    assert command("# x\n" + block("run", "other") + block("test", "$ a  'b' && c"), "test") == "a  'b' && c"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<!-- command: test -->\n\npytest\n",
        block("test", "pytest") + block("test", "pytest"),
        block("test", "pip install x\npytest"),
        block("test", ""),
        block("tests", "pytest"),
    ],
)
def test_anything_but_one_command_is_refused(text):
    with pytest.raises(NotOneCommand):
        command(text, "test")
