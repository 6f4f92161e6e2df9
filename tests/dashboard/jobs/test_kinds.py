"""The kinds of job that the application has."""

from dashboard.services.jobs.kinds import kinds


def test_every_kind_has_a_label_a_check_and_a_link():
    for entry in kinds:
        assert entry.label
        assert callable(entry.facts["check"])
        assert callable(entry.facts["link"])
