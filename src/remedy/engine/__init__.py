"""The engine: plan, approve, re-plan, apply, confirm, keep, verify, undo, resume, over one value, the plan.

`run` carries a plan out, `replay` reads back from the record where a run stands, `limits` says when not to start,
`fleet` does several targets at once, `inspect` asks an open run's expectations again.
"""
