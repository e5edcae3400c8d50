"""What the chapters' tests share: a test that asks for a ``chapter`` runs once for each."""

from kernel_environment import ROOT


def pytest_generate_tests(metafunc):
    if "chapter" in metafunc.fixturenames:
        chapters = sorted(ROOT.glob("notebooks/*.ipynb"))
        metafunc.parametrize("chapter", chapters, ids=lambda path: path.stem)
