"""The configuration file: every mistake at once, each with its place."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneglance.config import Config, config_file, load_config, parse_config
from oneglance.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    file = folder / "oneglance.toml"
    file.write_text(text)
    return file


def mistakes(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(written(folder, text))
    assert caught.value.exit_code == 78
    assert str(caught.value).startswith(str(folder / "oneglance.toml"))
    return str(caught.value)


def test_the_old_rate_of_one_comparison_is_refused_with_what_to_write_now(tmp_path: Path) -> None:
    text = mistakes(tmp_path, '[decision]\nfmr = "1e-4"')
    assert "rate of a whole visit" in text
    assert 'far = "1e-3"' in text


def test_an_empty_file_is_a_whole_configuration(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, ""))
    assert config.model_dump(exclude_unset=True) == {}
    assert config.gallery.path == Config().gallery.path


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = mistakes(
        tmp_path,
        """
        [site]
        name = "My House"
        [mqtt]
        port = 70000
        hosst = "broker"
        [decision]
        frames = 1
        [[camera]]
        name = "front"
        [surprise]
        x = 1
        """,
    )
    for place in ("site.name", "mqtt.port", "mqtt.hosst", "decision.frames", "camera.0.source"):
        assert place in text
    assert "surprise: unknown key" in text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('[mqtt]\nhosst = "x"', "mqtt.hosst: unknown key, did you mean 'host'?"),
        ("[dor]\npulse_s = 1", "dor: unknown key, did you mean 'door'?"),
        ("[door]\npulse = 1", "door.pulse: unknown key, did you mean 'pulse_s'?"),
        (
            '[[camera]]\nname = "a"\nsource = 0\nread_deadline = 1',
            "camera.0.read_deadline: unknown key, did you mean 'read_deadline_s'?",
        ),
        ("[door]\nzzz = 1", "door.zzz: unknown key"),
    ],
)
def test_a_misspelt_key_gets_the_nearest_one(tmp_path: Path, text: str, hint: str) -> None:
    assert hint in mistakes(tmp_path, text)


def test_a_key_without_a_near_one_gets_no_guess(tmp_path: Path) -> None:
    assert "did you mean" not in mistakes(tmp_path, "[door]\nzzz = 1")


def test_relative_paths_are_taken_from_the_files_folder(tmp_path: Path) -> None:
    config = load_config(
        written(
            tmp_path,
            """
            [signing]
            key_file = "keys/signing.key"
            sequence_file = "/var/lib/x/sequence"
            [door]
            state_file = "state/sequence"
            [[camera]]
            name = "clip"
            source = "clips/walk.mp4"
            [[camera]]
            name = "stream"
            source = "rtsp://camera/1"
            [[camera]]
            name = "index"
            source = "0"
            """,
        )
    )
    assert config.signing.key_file == tmp_path / "keys/signing.key"
    assert config.signing.sequence_file == Path("/var/lib/x/sequence")
    assert config.door.state_file == tmp_path / "state/sequence"
    assert [c.source for c in config.camera] == [
        str(tmp_path / "clips/walk.mp4"),
        "rtsp://camera/1",
        "0",
    ]


def test_keys_that_are_not_named_lie_beside_the_file(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "[door]\npulse_s = 2"))
    assert config.door.public_key_file == tmp_path / "signing.pub"
    assert config.keyring_file == tmp_path / "keyring.json"
    assert config.signing.key_file == tmp_path / "signing.key"
    assert config.gallery.key_file == tmp_path / "gallery.key"
    assert config.reader.key_file == tmp_path / "reader.key"
    assert config.gallery.path == Config().gallery.path
    assert config.model_fields_set == {"door"}
    assert config.door.model_fields_set == {"pulse_s"}


def test_which_file_is_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    etc, here, named = (tmp_path / name for name in ("etc", "here", "named"))
    for folder in (etc, here, named):
        folder.mkdir()
    found = partial(config_file, default=etc / "oneglance.toml")
    monkeypatch.delenv("ONEGLANCE_CONFIG", raising=False)
    monkeypatch.chdir(here)
    assert found() == found(None, "door.toml") == etc / "oneglance.toml"
    for file in (etc / "oneglance.toml", etc / "door.toml"):
        file.touch()
        assert found(None, "door.toml") == file
    assert found() == etc / "oneglance.toml"
    (here / "oneglance.toml").touch()
    assert found(None, "door.toml").resolve() == here / "oneglance.toml"
    monkeypatch.setenv("ONEGLANCE_CONFIG", str(named))
    assert found() == named / "oneglance.toml"
    (named / "door.toml").touch()
    assert found(None, "door.toml") == named / "door.toml"
    assert found(Path("my.toml"), "door.toml") == Path("my.toml")
    assert found(etc, "door.toml") == etc / "door.toml"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_somebody_elses_file_in_the_current_folder_leads_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    default = tmp_path / "etc" / "oneglance.toml"
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "")
    os.chown(tmp_path / "oneglance.toml", 12345, -1)
    assert config_file(default=default) == default
    assert "is somebody else's" in caplog.text
    monkeypatch.setenv("SUDO_UID", "12345")
    assert config_file() == Path("oneglance.toml")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[mqtt]\nca_file = "ca.crt"', "certificate files are given, but tls is false"),
        ('[mqtt]\ntls = true\ncert_file = "c"', "cert_file and key_file go together"),
        ('[mqtt]\nuser = "me"', "user and password_file go together"),
        ('[mqtt]\nhost = "10.0.0.2:1883"', "the port stands in a key of its own"),
        ('[mqtt]\nhost = "mqtt://broker"', "without what ends in ://"),
        ("[kiosk]\npin_pad = true", "kiosk: pin_pad needs key_file"),
        ('[mqtt]\npassword_file = "p"', "user and password_file go together"),
        (
            '[[camera]]\nname="a"\nsource=0\n[[camera]]\nname="a"\nsource=1',
            "the name 'a' stands twice",
        ),
        (
            '[mqtt]\nhost = "broker"\nuser = "me"\npassword_file = "p"',
            "without tls the password would cross the network readable",
        ),
        (
            '[mqtt]\nhost = "192.0.2.7"\nuser = "me"\npassword_file = "p"',
            "without tls the password would cross the network readable",
        ),
        ("[decision]\nframes = 50\nlifetime_s = 1", "hardly anybody would be accepted"),
        (
            "[audit]\nsnapshots = true\nsnapshot_days = 30\nkeep_days = 29",
            "snapshot_days is more than keep_days",
        ),
        ('[liveness]\nasks = "doubtful"', 'asks is for policy = "passive+challenge"'),
    ],
)
def test_what_contradicts_itself_is_refused(tmp_path: Path, text: str, why: str) -> None:
    assert why in mistakes(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        '[mqtt]\nhost = "127.0.0.1"\nuser = "me"\npassword_file = "p"',
        '[mqtt]\nhost = "::1"\nuser = "me"\npassword_file = "p"',
        '[mqtt]\nhost = "localhost"\nuser = "me"\npassword_file = "p"',
        '[mqtt]\nhost = "broker"\ntls = true\nuser = "me"\npassword_file = "p"',
        '[mqtt]\nhost = "broker"',
        "[decision]\nframes = 50\nlifetime_s = 5",
        '[[camera]]\nname = "a"\nsource = 0',
    ],
)
def test_what_only_looks_daring_is_accepted(tmp_path: Path, text: str) -> None:
    load_config(written(tmp_path, text))


def test_all_contradictions_are_told_at_once(tmp_path: Path) -> None:
    text = mistakes(tmp_path, '[mqtt]\nuser = "me"\ncert_file = "c"')
    assert text.count("mqtt:") == 3


@pytest.mark.parametrize(
    "bad",
    [
        "[decision]\nframes = 2",
        '[decision]\nfar = "0.5"',
        "[decision]\nfar = 0.001",
        "[decision]\nlifetime_s = 11",
        "[door]\npulse_s = 0",
        "[door]\npulse_s = 61",
        '[door]\npin_factory = "magic"',
        '[site]\ndoor = "a/b"',
        '[site]\ndoor = "+"',
        "[mqtt]\nkeepalive_s = 0",
        '[mqtt]\nhost = ""',
        '[mqtt]\nhost = "two words"',
        '[mqtt]\nhost = "mqtt://broker"',
        '[signing]\nkey_file = "credential:../../x"',
        '[signing]\nkey_file = "credential:"',
        '[gallery]\nkey_file = "credential:.."',
        "[gallery]\nkey_file = true",
        '[[camera]]\nname = "a"\nsource = ""',
        '[[camera]]\nname = "a"\nsource = true',
        '[[camera]]\nname = "a"\nsource = -1',
    ],
)
def test_values_that_would_weaken_the_door_are_refused(tmp_path: Path, bad: str) -> None:
    mistakes(tmp_path, bad)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no configuration.*oneglance init"):
        load_config(tmp_path / "none.toml")


@pytest.mark.parametrize("content", [b"= nonsense", b"\xff\xfe", b'a = "'])
def test_what_is_no_toml_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "oneglance.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(file)


def test_one_that_everybody_can_change_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "oneglance.toml"
    file.write_text("")
    file.chmod(0o666)
    with pytest.raises(ConfigError, match="everybody on this machine can change it") as told:
        load_config(file)
    assert told.value.fix.endswith(f"chmod 644 {file}")
    file.chmod(0o664)
    assert load_config(file).site == Config().site


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "oneglance.toml").mkdir()
    with pytest.raises(ConfigError, match="cannot read it"):
        load_config(tmp_path)


def test_who_may_not_read_it_is_told_the_way_out(tmp_path: Path) -> None:
    file = tmp_path / "oneglance.toml"
    file.write_text("")
    file.chmod(0)
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)  # root may read everything
    try:
        with pytest.raises(ConfigError, match="Permission denied") as caught:
            load_config(file)
    finally:
        os.seteuid(me)
    assert caught.value.fix.startswith("try it with sudo")
    assert "--config" in caught.value.fix


def test_a_credential_is_found_where_systemd_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x")
    config = load_config(written(tmp_path, '[signing]\nkey_file = "credential:signing.key"'))
    assert config.signing.key_file == Path("/run/credentials/x/signing.key")


def test_outside_a_unit_a_credential_is_the_file_beside_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    config = load_config(written(tmp_path, '[signing]\nkey_file = "credential:signing.key"'))
    assert config.signing.key_file == tmp_path / "signing.key"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["site", "mqtt", "camera", "door", "decision", "other"]),
        JSON | st.dictionaries(st.sampled_from(["name", "port", "source", "pin", "x"]), JSON),
    )
)
def test_any_content_is_a_configuration_or_a_config_error(data: dict[str, object]) -> None:
    try:
        parse_config(data, "test")
    except ConfigError:
        return
