import pytest


@pytest.fixture(params=["light", "dark"])
def theme(request):
    return request.param
