"""Nobody sits an exam more than three times: a saga over two services, in the fluent form."""
