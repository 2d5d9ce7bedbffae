"""Publishing this site's status, for whoever looks after many. It runs beside backups: it may fail,
and says so by raising; it delays none.
"""

from __future__ import annotations

from dr_orchestrator.fleet.place import place_at
from dr_orchestrator.fleet.publication import sign
from dr_orchestrator.fleet.status import SiteStatus
from dr_orchestrator.settings import Publish


def publish(status: SiteStatus, to: Publish, seed: bytes) -> None:
    """Sign `status` with the site's private key (32 bytes), and put it where the settings say.

    Raises:
        StorageUnusable: it cannot be written there.
        SpaceExhausted: the disk of that folder is full.
    """
    place = place_at(to.to, to.aws_profile, to.endpoint)
    place.write(status.site, sign(status, to.every, seed))
