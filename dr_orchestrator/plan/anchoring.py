"""Where the head of the evidence goes, as a plan says: one name for each place, so that what was
recorded of it is found again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dr_orchestrator.plan.model import MANAGER

if TYPE_CHECKING:
    from dr_orchestrator.plan.model import BucketPlace, Plan


def anchor_contacts(plan: Plan, *, has_mail: bool) -> tuple[str, ...]:
    """Return the contacts whose mailbox keeps the head: those the plan names, else the manager,
    where this machine can send e-mail at all and that contact has an address.
    """
    named = plan.evidence.anchor.mail
    if named is not None:
        return named
    manager = plan.contacts.get(MANAGER)
    return (MANAGER,) if has_mail and manager and manager.email else ()


def mailbox_words(contact: str) -> str:
    """Return how a contact's mailbox is called in the record."""
    return f"the mailbox of {contact}"


def bucket_words(bucket: BucketPlace, practice: str) -> str:
    """Return how the place of a practice in a bucket is called in the record: where it is."""
    return f"{bucket.to.rstrip('/')}/{practice}/evidence/"


def repository_words(repository: str) -> str:
    """Return how a repository that keeps a copy of the evidence is called in the record."""
    return f"the repository {repository}"


def outside_places(plan: Plan, *, has_mail: bool) -> tuple[str, ...]:
    """Return where the plan wants the head beside its repositories, as it is called there."""
    anchor, practice = plan.evidence.anchor, plan.practice.id
    buckets = (bucket_words(anchor.s3, practice),) if anchor.s3 else ()
    return (*(map(mailbox_words, anchor_contacts(plan, has_mail=has_mail))), *buckets)
