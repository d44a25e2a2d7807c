from larder.__main__ import main


def test_show_prints_a_recipe(tmp_path, capsys):
    file = tmp_path / "toast.txt"
    file.write_text("Toast\nserves: 2\n\n- 4 slices bread\n\nToast it.\n")

    assert main(["show", str(file)]) == 0
    assert capsys.readouterr().out == file.read_text()


def test_a_refusal_is_one_line(capsys):
    assert main(["show", "nowhere.txt"]) == 1
    assert capsys.readouterr().err.startswith("larder: cannot read nowhere.txt")


def test_an_unknown_command_lists_the_known_ones(capsys):
    assert main(["flambé"]) == 2
    assert "show" in capsys.readouterr().err
