"""The harness's workloads as a pytest-benchmark suite, for our kernels and models and for yours.

    pytest --pyargs harness.benchmarks --harness-model my-model --harness-plugin my_plugin.py

times fit, prediction and latency of a model on a dataset. pytest-benchmark saves and compares:
``--benchmark-autosave``, ``--benchmark-compare``.
"""
