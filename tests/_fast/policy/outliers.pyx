"""Outlier detection as plain functions, for tests; built in place only."""
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from tulle._fast.base.shared cimport EndpointHealth
from tulle._fast.base.types cimport int32_t, uint32_t, uint64_t
from tulle._fast.policy.outlier cimport (
    OutlierPolicy, OutlierSample, outlier_count, outlier_eject, outlier_forgive, outlier_judge, outlier_most,
    outlier_probe, outlier_probe_dropped, outlier_probed, outlier_sample, outlier_status, outlier_undo,
)


cdef class Policy:
    """By the names of OutlierPolicy; `enforcing` is a list by reason."""
    cdef OutlierPolicy policy

    def __init__(self, enforcing, **values):
        fields = dict(self.policy)
        fields.update(values, enabled=1, enforcing=[*enforcing, 100])
        self.policy = fields

    def most(self, uint32_t hosts) -> int:
        return outlier_most(&self.policy, hosts)

    def judge(self, samples) -> list[int]:
        """`samples` are (answers, errors, local)."""
        cdef uint32_t index
        cdef uint32_t count = <uint32_t>len(samples)
        cdef OutlierSample *given = <OutlierSample *>calloc(count, sizeof(OutlierSample))
        cdef int32_t *verdicts = <int32_t *>calloc(count, sizeof(int32_t))
        for index in range(count):
            given[index].answers, given[index].errors, given[index].local = samples[index]
        outlier_judge(&self.policy, given, count, verdicts)
        found = [verdicts[index] for index in range(count)]
        free(given)
        free(verdicts)
        return found


cdef class Host:
    cdef Policy owner
    cdef EndpointHealth health

    def __init__(self, Policy owner):
        self.owner = owner
        memset(&self.health, 0, sizeof(EndpointHealth))

    @property
    def ejected(self) -> int:
        return self.health.ejected

    @property
    def ejections(self) -> int:
        return self.health.ejections

    def count(self, int outcome) -> int:
        return outlier_count(&self.owner.policy, &self.health, outcome)

    def eject(self, uint64_t now) -> int:
        return outlier_eject(&self.owner.policy, &self.health, now)

    def undo(self, uint64_t ejected) -> None:
        outlier_undo(&self.health, ejected)

    def probe(self, uint64_t now) -> int:
        return outlier_probe(&self.owner.policy, &self.health, now)

    def probed(self, uint64_t token, bint good, uint64_t now) -> bool:
        return outlier_probed(&self.owner.policy, &self.health, token, good, now)

    def dropped(self, uint64_t token, uint64_t now) -> None:
        outlier_probe_dropped(&self.health, token, now)

    def forgive(self, uint64_t intervals) -> None:
        outlier_forgive(&self.health, intervals)

    def sample(self, uint32_t answers, uint32_t errors, uint32_t local) -> tuple[int, int, int]:
        cdef OutlierSample sample
        outlier_sample(&self.health, answers, errors, local, &sample)
        return sample.answers, sample.errors, sample.local


def status(uint32_t code) -> int:
    """The OutlierOutcome of an answer."""
    return outlier_status(code)
