"""`fake-dashscope check`: run anyone's client through scenarios, and judge what it did."""
