"""Answers are asked for once and kept, until a server refuses them."""

from __future__ import annotations

from pathlib import Path

from internlm_setup.core.ssh.ask import Login, NewHostKey, NobodyToAsk, Prompt, Remembering
from servers.ssh_person import Person

LOGIN, OTHER = Login("me", "one.test", 22), Login("me", "two.test", 22)
CODE = Prompt("Code:", echo=False)


def test_asked_once() -> None:
    """Each password, passphrase and set of answers is asked for once; another account is another question."""
    person = Person(passwords=["a", "b"], replies=[["1"]], passphrases={"key": "p"})
    asker = Remembering(person)
    for _ in range(2):
        assert (asker.password(LOGIN), asker.password(OTHER)) == ("a", "b")
        assert asker.answers(LOGIN, "", [CODE]) == ["1"]
        assert asker.passphrase(Path("key")) == "p"
    assert len(person.asked) == 4


def test_forgotten() -> None:
    """What was refused is asked for again; only an old answer is worth a second question at once."""
    asker = Remembering(Person(passwords=["a", "b"], replies=[["1"], ["2"]]))
    assert asker.password(LOGIN) == "a"
    assert asker.forget(LOGIN) is False
    assert (asker.password(LOGIN), asker.password(LOGIN)) == ("b", "b")
    asker.answers(LOGIN, "", [CODE])
    assert asker.forget(LOGIN) is True
    assert asker.answers(LOGIN, "", [CODE]) == ["2"]


def test_no_answer_is_not_kept() -> None:
    """Nobody there now may be somebody later."""
    person = Person()
    asker = Remembering(person)
    assert asker.password(LOGIN) is None
    person.passwords.append("a")
    assert asker.password(LOGIN) == "a"


def test_nobody() -> None:
    """Nobody knows anything."""
    nobody = NobodyToAsk()
    key = NewHostKey("one.test", 22, "ssh-ed25519", "SHA256:x")
    answers = [nobody.trust(key), nobody.password(LOGIN), nobody.answers(LOGIN, "", [CODE])]
    assert [*answers, nobody.passphrase(Path("key"))] == [None] * 4
    assert nobody.forget(LOGIN) is False
