from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_orchestrator.assets.mariadb_source import without_password

HASH = "*8505792B04AFF23C34F7BA879D18CCC3FEBFA2AB"


@pytest.mark.parametrize(
    ("grant", "kept"),
    [
        (
            f"GRANT USAGE ON *.* TO `Dr. O'Hara`@`localhost` IDENTIFIED BY PASSWORD '{HASH}'",
            "GRANT USAGE ON *.* TO `Dr. O'Hara`@`localhost`",
        ),
        (
            (
                f"GRANT ALL PRIVILEGES ON *.* TO `a`@`%` IDENTIFIED VIA mysql_native_password "
                f"USING '{HASH}' OR unix_socket REQUIRE SSL WITH GRANT OPTION"
            ),
            "GRANT ALL PRIVILEGES ON *.* TO `a`@`%` REQUIRE SSL WITH GRANT OPTION",
        ),
        (
            (
                "GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED VIA ed25519 USING 'kFJ/aHc+q9' "
                "WITH MAX_USER_CONNECTIONS 5"
            ),
            "GRANT USAGE ON *.* TO `a`@`%` WITH MAX_USER_CONNECTIONS 5",
        ),
        (
            "GRANT USAGE ON *.* TO 'old'@'10.0.%' IDENTIFIED BY PASSWORD 'x'",
            "GRANT USAGE ON *.* TO 'old'@'10.0.%'",
        ),
        (
            "GRANT SELECT, INSERT ON `emr`.* TO `a`@`%` WITH GRANT OPTION",
            "GRANT SELECT, INSERT ON `emr`.* TO `a`@`%` WITH GRANT OPTION",
        ),
        ("GRANT `doctors` TO `a`@`%`", "GRANT `doctors` TO `a`@`%`"),
        ("SET DEFAULT ROLE `doctors` FOR `a`@`%`", "SET DEFAULT ROLE `doctors` FOR `a`@`%`"),
        (f"GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED SOMEHOW '{HASH}'", ""),
        (f"GRANT USAGE ON *.* TO `a`@`%` REQUIRE SSL IDENTIFIED BY PASSWORD '{HASH}'", ""),
    ],
)
def test_without_password_keeps_the_right_and_nothing_that_identifies(
    grant: str, kept: str
) -> None:
    assert without_password(grant) == kept


@given(
    user=st.text(st.characters(blacklist_characters="`\\", min_codepoint=32), min_size=1),
    plugin=st.sampled_from(["mysql_native_password", "ed25519", "caching_sha2_password"]),
)
def test_without_password_never_keeps_a_hash(user: str, plugin: str) -> None:
    account = f"`{user}`@`%`"
    for way in (f"BY PASSWORD '{HASH}'", f"VIA {plugin} USING '{HASH}'"):
        kept = without_password(f"GRANT USAGE ON *.* TO {account} IDENTIFIED {way}")
        assert kept == f"GRANT USAGE ON *.* TO {account}" or user.find("IDENTIFIED") >= 0
        assert HASH not in kept
