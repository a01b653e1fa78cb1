"""What `nexus cluster make-keys` makes, and what it refuses."""

from __future__ import annotations

import base64

import pytest

from services.cli import keys
from services.cli.clusterkeys import (
    IDENTITY,
    KEYS,
    TRIAL,
    Requirement,
    Wanted,
    additions,
    check_requirement,
    parse_requirement,
    wanted,
)
from services.cli.errors import StackError
from services.common.seal import KeyRing
from services.registrar.secrets import Held

KINDS = (IDENTITY, KEYS, TRIAL)


def held(**data: str) -> Held:
    return Held({name.replace("__", "-").replace("_pem", ".pem"): text for name, text in data.items()}, {}, "1")


def ours(kind: str) -> Wanted:
    return Wanted(kind, f"the-{kind}", is_ours=True)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_made_is_complete(kind: str) -> None:
    """Nothing is added the second time, and two releases never get the same."""
    made = additions(ours(kind), None)
    assert additions(ours(kind), Held(made, {}, "1")) == {}
    assert not set(made.values()) & set(additions(ours(kind), None).values())


def test_the_keys_fit_each_other() -> None:
    """Endpoints accept what Restate signs; seals and tokens work."""
    identity = additions(ours(IDENTITY), None)
    assert identity["identity-keys"] == keys.identity_of(identity["identity.pem"])
    own = additions(ours(KEYS), None)
    ring = KeyRing.parse(own["seal-keys"])
    assert ring.open(ring.seal("text", "order"), "order") == "text"
    assert len(base64.b64decode(own["subject-key"])) == 32
    trial = additions(ours(TRIAL), None)
    for name in ("auth", "helm-test"):
        assert trial[f"{name}-public.pem"] == keys.public_pem(keys.read_pem(trial[f"{name}-private.pem"]))


def test_what_can_be_added_is_added_and_nothing_else_is_touched() -> None:
    """A report key for a release made before there were reports; the list of accepted keys."""
    own = additions(ours(KEYS), None)
    old = {name: text for name, text in own.items() if name != "report.pem"}
    assert additions(ours(KEYS), Held(old, {}, "1")).keys() == {"report.pem"}
    identity = additions(ours(IDENTITY), None)
    only = Held({"identity.pem": identity["identity.pem"]}, {}, "1")
    assert additions(ours(IDENTITY), only) == {"identity-keys": identity["identity-keys"]}


GOOD_PEM = keys.new_pem()
OTHER = keys.identity_of(keys.new_pem())


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        (IDENTITY, held(), r"identity\.pem is missing or empty"),
        (IDENTITY, held(identity_pem=" "), r"identity\.pem is missing or empty"),
        (IDENTITY, held(identity_pem="not a key"), r"identity\.pem: expected an Ed25519 private key"),
        (IDENTITY, held(identity_pem=GOOD_PEM, identity__keys=""), "identity-keys is empty"),
        (IDENTITY, held(identity_pem=GOOD_PEM, identity__keys="x"), "begin with publickeyv1_"),
        (IDENTITY, held(identity_pem=GOOD_PEM, identity__keys=OTHER), "identity-keys does not hold publickeyv1_"),
        (KEYS, held(), "seal-keys is missing or empty"),
        (KEYS, held(seal__keys="a:b"), "subject-key is missing or empty"),
        (KEYS, held(seal__keys="a:b", subject__key="x"), "seal-keys: entry 1"),
        (KEYS, held(seal__keys=keys.new_seal_keys("a"), subject__key="c2hvcnQ="), "subject-key: expected base64"),
        (TRIAL, held(**{"auth-public.pem": "x"}), r"auth-private\.pem is missing"),
        (TRIAL, held(**{"auth-private.pem": GOOD_PEM, "auth-public.pem": "x"}), "is not the public half"),
    ],
)
def test_a_secret_that_cannot_be_used_is_refused(kind: str, data: Held, said: str) -> None:
    """In one sentence that names the Secret and its key and quotes nothing of it."""
    with pytest.raises(StackError, match=rf"^Secret the-{kind}: .*{said}") as refusal:
        additions(ours(kind), data)
    assert "PRIVATE KEY" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_another_kind_of_key_is_refused() -> None:
    """An RSA key would make Restate fail at its start, when the release is half there."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(StackError, match="expected an Ed25519 private key, found another kind"):
        additions(ours(IDENTITY), held(identity_pem=pem.decode()))


def test_a_users_secret_is_checked_and_never_completed() -> None:
    """It is named with the value that names it."""
    theirs = Wanted(IDENTITY, "mine", is_ours=False)
    with pytest.raises(StackError, match=r"^identity\.existingSecret: there is no Secret mine"):
        additions(theirs, None)
    with pytest.raises(StackError, match=r"^identity\.existingSecret: Secret mine lacks identity-keys"):
        additions(theirs, held(identity_pem=GOOD_PEM))
    assert additions(theirs, held(identity_pem=GOOD_PEM, identity__keys=keys.identity_of(GOOD_PEM))) == {}


def test_a_requirement_names_the_value_the_secret_and_the_key() -> None:
    """Missing Secret, missing key, empty key."""
    needs = parse_requirement("payments.existingSecret=pay:token,url")
    assert needs == Requirement("payments.existingSecret", "pay", ("token", "url"))
    with pytest.raises(StackError, match=r"^payments\.existingSecret: there is no Secret pay: .*token, url"):
        check_requirement(needs, None)
    with pytest.raises(StackError, match=r"^payments\.existingSecret: Secret pay lacks url"):
        check_requirement(needs, held(token="t", url=""))
    check_requirement(needs, held(token="t", url="u"))


def test_options_that_cannot_be_read_are_refused() -> None:
    """Each names its option."""
    for text in ("", "a", "a:", ":b", "v=:b"):
        with pytest.raises(StackError, match="--require"):
            parse_requirement(text)
    with pytest.raises(StackError, match="--check-only"):
        wanted("f", "i", "", "", "identity,other")


def test_secrets_that_are_not_asked_for_are_not_wanted() -> None:
    """An external Restate has its own identity key, production its own sign-in."""
    assert wanted("f", "", "", "", "") == [Wanted(KEYS, "f-keys", is_ours=True)]
    assert [item.is_ours for item in wanted("f", "i", "", "t", "keys")] == [True, False, True]
