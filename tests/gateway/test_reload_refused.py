"""What is wrong in a new configuration is refused, named, and breaks nothing."""

from __future__ import annotations

import json
from pathlib import Path

from configs import proxy_config
from reload_world import BROKEN, Site, site
from running import serving, until
from upstream import says, upstream


def test_a_broken_file_is_refused_and_named_and_the_next_good_one_is_served(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        before = place.ready()["config"]
        place.write(place.good + BROKEN)
        error = place.refusal("gateway.yaml:")
        assert place.ready()["config"] == before
        assert place.server.chat("plain", "hi")[0] == 200
        until(lambda: place.status()[1]["workers"][0]["refused"])
        code, status = place.status()
        assert (code, status["config"]) == (2, None)
        (worker,) = status["workers"]
        assert (worker["config"], worker["refused"]["error"]) == (before, error)
        assert place.log().count("is refused") == 1
        assert error in place.log()
        wanted = place.change("aliases: [gpt-4o]", "aliases: [gpt-4o, mended]")
        place.serves(wanted)
        assert place.ready()["refused"] is None
        assert place.server.chat("mended", "hi")[0] == 200
        until(lambda: place.status()[1]["workers"][0]["refused"] is None)
        code, status = place.status()
        assert (code, status["config"], status["workers"][0]["refused"]) == (0, wanted, None)


def test_a_remote_caller_is_not_told_what_is_wrong_in_a_file(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        place.write(place.good + BROKEN)
        place.refusal("gateway.yaml:")
        for headers in ({"X-Forwarded-For": "192.0.2.1"}, {"Authorization": "Bearer hg-guess"}):
            _, body = place.server.get("/ready", headers)
            assert "gateway.yaml" not in json.dumps(body["refused"])


def test_what_needs_a_restart_is_refused_as_a_whole_and_named_with_its_line(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        before = place.ready()["config"]
        changed = place.good.replace("aliases: [gpt-4o]", "aliases: [gpt-4o, new]")
        place.write(changed + "store: {url: 'sqlite:///elsewhere/headgate.db'}\n")
        error = place.refusal("store.url")
        line = len(changed.splitlines()) + 1
        assert f"gateway.yaml:{line}:" in error
        assert "Restart the gateway" in error
        place.write(changed.replace("reload: watch", "workers: 3"))
        assert "is 3 and the gateway serves with 1" in place.refusal("server.workers")
        assert place.ready()["config"] == before
        assert place.server.chat("new", "hi")[0] == 404


def test_a_changed_port_is_refused(tmp_path: Path) -> None:
    with upstream(says("hi")) as fake:
        config = proxy_config(tmp_path, fake.url)
        with serving(config) as server:  # --port stands over the file, and so do its changes
            place = Site(server, fake, config)
            place.write(place.good + "server: {port: 1234, host: localhost}\n")
            assert "server.host" in place.refusal("localhost")
            assert "server.port" not in place.refusal("localhost")
