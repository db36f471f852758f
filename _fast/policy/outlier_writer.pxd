"""The outlier policy of a cluster entry, from its row. With the GIL, in the compiling process only."""
from tulle._fast.policy.outlier cimport OutlierPolicy

# Of an OutlierRow; None is off
cdef OutlierPolicy outlier_policy(row) except *
