"""Circuit breakers of the model to rows of the routing table."""

from tulle.controlplane.model_circuit_breaker import RetryBudget
from tulle.controlplane.table import RetryBudgetRow


def retry_budget_row(budget: RetryBudget | None) -> RetryBudgetRow | None:
    return None if budget is None else RetryBudgetRow(budget.percent, budget.min_per_second)
