"""Against a real broker, and against servers that misbehave."""

import contextlib
import gc
import json
import logging
import queue
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from tests.peers.mosquitto import Mosquitto, free_port
from tests.peers.relay import Relay
from tests.sinks.results import result, run_of, write_until_error
from vidette.errors import ConfigError, SinkError
from vidette_sinks._network import Backoff
from vidette_sinks.mqtt import MqttSettings, MqttSink

SECRET = "pa/ss w@rd"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    yield broker
    broker.stop()


class Subscriber:
    """Everything that a broker delivers."""

    def __init__(self, port: int, user: str | None = None, password: str | None = None) -> None:
        self.messages: queue.Queue[paho.MQTTMessage] = queue.Queue()
        subscribed: queue.Queue[None] = queue.Queue()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(user, password)
        self._client.on_message = lambda *args: self.messages.put(args[2])
        self._client.on_subscribe = lambda *_: subscribed.put(None)
        self._client.on_connect = lambda *_: self._client.subscribe("#", 2)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        subscribed.get(timeout=10)

    def next(self) -> paho.MQTTMessage:
        return self.messages.get(timeout=10)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextlib.contextmanager
def subscribed(port: int, *login: str) -> Iterator[Subscriber]:
    subscriber = Subscriber(port, *login)
    yield subscriber
    subscriber.close()


@contextlib.contextmanager
def opened(url: str, **settings) -> Iterator[MqttSink]:
    sink = MqttSink(MqttSettings(url=url, **settings))
    sink.open(run_of())
    yield sink
    sink.close()


def write_until_taken(sink: MqttSink, seq: int) -> None:
    deadline = time.monotonic() + 15
    while True:
        try:
            sink.write(result(seq))
        except SinkError:
            assert time.monotonic() < deadline, "no new connection was made"
            time.sleep(0.02)
        else:
            return


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_each_result_is_one_message(broker, qos):
    with subscribed(broker.port) as subscriber, opened(f"mqtt://127.0.0.1:{broker.port}", qos=qos) as sink:
        for seq in range(20):
            sink.write(result(seq, stream="a/b+c#"))
        messages = [subscriber.next() for _ in range(20)]
    assert [json.loads(m.payload)["seq"] for m in messages] == list(range(20))
    assert {m.topic for m in messages} == {"vidette/a_b_c_"}
    assert {m.qos for m in messages} == {qos}
    assert len(json.loads(messages[0].payload)["predictions"]) == 2


def test_a_retained_message_waits_for_later_subscribers(broker):
    with opened(f"mqtt://127.0.0.1:{broker.port}/last", retain=True) as sink:
        sink.write(result(3))
    with subscribed(broker.port) as subscriber:
        message = subscriber.next()
    assert (message.topic, message.retain, json.loads(message.payload)["seq"]) == ("last", True, 3)


def test_user_and_password_of_the_url(tmp_path):
    broker = Mosquitto(tmp_path, "vidette", SECRET)
    url = f"mqtt://vidette:pa%2Fss%20w%40rd@127.0.0.1:{broker.port}/t"
    with subscribed(broker.port, "vidette", SECRET) as subscriber, opened(url) as sink:
        sink.write(result(1))
        assert json.loads(subscriber.next().payload)["seq"] == 1
    broker.stop()


def test_a_wrong_password_ends_the_start_and_is_not_shown(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    broker = Mosquitto(tmp_path, "vidette", SECRET)
    sink = MqttSink(MqttSettings(url=f"mqtt://127.0.0.1:{broker.port}", user="vidette", password="canary"))
    with pytest.raises(SinkError, match=r"the broker refuses the connection: .*: check user and password") as caught:
        sink.open(run_of())
    assert "canary" not in f"{caught.value!r} {sink.name} {caplog.text} {sink._settings!r}"
    broker.stop()


def test_a_broker_that_comes_later_gets_what_comes_later(broker):
    broker.stop()
    with opened(f"mqtt://127.0.0.1:{broker.port}") as sink:
        with pytest.raises(SinkError, match="no connection; tried again in"):
            sink.write(result(0))
        broker.start()
        with subscribed(broker.port) as subscriber:
            write_until_taken(sink, 1)
            assert json.loads(subscriber.next().payload)["seq"] == 1


def test_a_restarted_broker_is_found_again(broker):
    with opened(f"mqtt://127.0.0.1:{broker.port}", qos=1) as sink:
        sink.write(result(0))
        broker.stop()
        written, error = write_until_error(sink, (result(seq) for seq in range(100)))
        assert written == 0, "with qos 1 nothing counts as written that was not acknowledged"
        assert f"127.0.0.1:{broker.port}" in str(error)
        broker.start()
        with subscribed(broker.port) as subscriber:
            write_until_taken(sink, 7)
            assert json.loads(subscriber.next().payload)["seq"] == 7


def test_a_cut_connection_costs_nothing_while_the_broker_is_there(broker):
    relay = Relay(broker.port)
    with subscribed(broker.port) as subscriber, opened(f"mqtt://127.0.0.1:{relay.port}") as sink:
        sink.write(result(0))
        assert json.loads(subscriber.next().payload)["seq"] == 0
        sink._backoff = Backoff()  # as if the connection had lived for a while
        relay.cut()
        sink.write(result(1))
        assert json.loads(subscriber.next().payload)["seq"] == 1
    relay.close()


def test_a_deaf_broker_costs_the_result_and_never_the_end(broker):
    relay = Relay(broker.port)
    with opened(f"mqtt://127.0.0.1:{relay.port}", qos=1, timeout_s=0.3) as sink:
        sink.write(result(0))
        relay.deaf.set()
        with pytest.raises(SinkError, match=r"the broker did not answer within 0\.3 s"):
            sink.write(result(1))
        began = time.monotonic()
    assert time.monotonic() - began < 1
    relay.close()


@pytest.mark.parametrize("backlog", [0, 5])
def test_a_server_that_says_nothing_holds_nobody_back(backlog):
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as silent:
        began = time.monotonic()
        with opened(f"mqtt://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.3) as sink:
            for seq in range(3):
                with pytest.raises(SinkError):
                    sink.write(result(seq))
            ending = time.monotonic()
        assert time.monotonic() - ending < 1
        assert time.monotonic() - began < 5


def test_nobody_there():
    with opened(f"mqtt://127.0.0.1:{free_port()}") as sink, pytest.raises(SinkError, match="no connection"):
        sink.write(result())


@pytest.mark.parametrize("more", [0, 3])
def test_nothing_is_left_for_asyncio_to_complain_about(broker, caplog, more):
    with opened(f"mqtt://127.0.0.1:{broker.port}", timeout_s=0.3) as sink:
        sink.write(result())
        broker.stop()
        for seq in range(more):
            with contextlib.suppress(SinkError):
                sink.write(result(seq))
    del sink
    gc.collect()  # futures complain when they are collected
    assert [r.getMessage() for r in caplog.records if r.name.startswith(("asyncio", "vidette"))] == []


def test_settings_of_a_url():
    settings = MqttSink.from_target("mqtt://u:p%40@host:1884/cams/{stream}")
    assert (settings.url, settings.user, settings.secret()) == ("mqtt://host:1884/cams/{stream}", "u", "p@")
    assert settings.topic == "cams/{stream}"
    assert MqttSink.from_target("mqtts://host").topic == "vidette/{stream}"
    assert MqttSink(settings).name == "mqtt://host:1884/cams/{stream}"
    assert "p@" not in repr(settings)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("mqtt://u:canary/x@host/t", "not a URL with host and port"),
        ("mqtt://u:canary@host:99999", "not a URL with host and port"),
        ("mqtt:///t", "not a URL with host and port"),
        ("mqtt://u:canary@host/a/#", "placeholder"),
        ("mqtt://u:canary@host/a/+/b", "a topic to publish to has no"),
        ("mqtt://u:canary@host/{camera}", "a topic to publish to has no"),
        ("http://u:canary@host", "the URL must begin with mqtt:// or mqtts://"),
    ],
)
def test_wrong_targets_are_refused_without_showing_secrets(target, reason):
    with pytest.raises(ConfigError) as caught:
        MqttSink.from_target(target)
    assert reason in str(caught.value)
    assert "canary" not in str(caught.value)
