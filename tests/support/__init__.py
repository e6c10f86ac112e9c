"""What several rooms of the tests share. Only tests/scenarios, tests/contract and tests/simulation see both sides."""
