import pytest
import torch

from nearfar.errors import SettingError
from nearfar.launch import Launch
from nearfar.training import hardware
from nearfar.training.hardware import choose_hardware


def pretend(monkeypatch, *, amx=False, avx=False, cuda: tuple[int, int] | None = None):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda is not None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0 if cuda is None else 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: cuda)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Pretend GPU")


@pytest.mark.parametrize(("amx", "avx"), [(True, False), (False, True), (False, False)])
def test_a_processor_with_bf16_units_uses_them(monkeypatch, amx, avx):
    pretend(monkeypatch, amx=amx, avx=avx)
    chosen = choose_hardware("auto", "auto")
    assert chosen.device == torch.device("cpu")
    assert (chosen.precision == "bf16") == chosen.channels_last == (amx or avx)
    assert ("bf16" in chosen.summary) == (amx or avx)


@pytest.mark.parametrize(("capability", "fast"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_a_gpu_is_taken_and_judged_by_its_capability(monkeypatch, capability, fast):
    pretend(monkeypatch, avx=True, cuda=capability)
    chosen = choose_hardware("auto", "auto")
    assert chosen.device == torch.device("cuda:0")
    assert (chosen.precision == "bf16") == fast
    assert "Pretend GPU" in chosen.summary
    assert choose_hardware("cuda:1", "fp32").device == torch.device("cuda:1")


def test_what_is_asked_for_is_given(monkeypatch):
    pretend(monkeypatch, avx=True)
    assert choose_hardware("cpu", "fp32").precision == "fp32"
    pretend(monkeypatch)
    assert choose_hardware("cpu", "bf16").precision == "bf16"


@pytest.mark.parametrize(
    ("device", "precision", "message"),
    [
        ("cuda", "auto", "no CUDA device"),
        ("cuda:3", "auto", "no CUDA device"),
        ("mps", "auto", "torch finds no Apple GPU here; use --training.device auto"),
        ("xpu", "auto", "not supported"),
        ("nonsense", "auto", "unknown device"),
    ],
)
def test_a_device_that_is_not_there_is_refused(monkeypatch, device, precision, message):
    pretend(monkeypatch)
    with pytest.raises(SettingError, match=message):
        choose_hardware(device, precision)


def test_an_old_gpu_refuses_bf16_and_a_missing_one_is_counted(monkeypatch):
    pretend(monkeypatch, cuda=(7, 0))
    with pytest.raises(SettingError, match="no bf16 units"):
        choose_hardware("cuda", "bf16")
    with pytest.raises(SettingError, match="2 CUDA devices"):
        choose_hardware("cuda:2", "fp32")


def test_the_processor_has_a_name():
    assert hardware.cpu_name()


def test_each_rank_takes_its_own_gpu(monkeypatch):
    pretend(monkeypatch, cuda=(9, 0))
    told = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    for name, value in (told | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}).items():
        monkeypatch.setenv(name, value)
    for device in ("auto", "cuda"):
        assert choose_hardware(device, "fp32").device == torch.device("cuda:1")
    assert choose_hardware("cpu", "fp32").device == torch.device("cpu")
    with pytest.raises(SettingError, match="each takes its own GPU, so say cuda"):
        choose_hardware("cuda:0", "fp32")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(SettingError, match="2 ranks on a machine on which torch finds 1 CUDA dev"):
        choose_hardware("auto", "fp32")


def test_an_apple_gpu_is_taken_where_it_is_asked_for(monkeypatch):
    pretend(monkeypatch)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_hardware("auto", "auto").device.type == "cpu"
    chosen = choose_hardware("mps", "auto")
    assert (chosen.device.type, chosen.precision) == ("mps", "fp32")
    half = choose_hardware("mps", "fp16")
    assert (half.precision, half.channels_last) == ("fp16", False)
    assert "fp16 autocast" in half.summary
    monkeypatch.setattr(hardware, "launched", lambda: Launch(0, 2, 0, 2))
    with pytest.raises(SettingError, match="device 'mps' for 2 ranks"):
        choose_hardware("mps", "auto")
