"""Gives Restate a new identity key without a refused call: `nexus cluster rotate-identity`.

The Secret says how far a rotation is, so that one which was interrupted goes on where it was. An endpoint accepts
the new key before Restate signs with it, and the old one until no request signed with it can arrive any more.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from services.cli import keys
from services.cli.errors import StackError
from services.registrar.errors import ClusterError
from services.registrar.kube import COMPONENT, ENDPOINT, INSTANCE, Kube
from services.registrar.pods import explain_pod, is_ready
from services.registrar.secrets import Held, Secrets

if TYPE_CHECKING:
    from collections.abc import Iterable

PRIVATE: Final = "identity.pem"
ACCEPTED: Final = "identity-keys"
NEXT: Final = "identity-next.pem"
SWITCHED_AT: Final = "nexus.dev/identity-switched-at"
"""Annotation of the Secret: since when (Unix seconds) no node of Restate has the old key."""
IDENTITY: Final = "nexus.dev/identity"
"""Annotation of Restate's pods: the public key that they were restarted for. Of endpoint pods: see _nudge."""
HEADER: Final = "x-nexus-identity"
TOKEN_SECONDS: Final = 60
"""How long a token that Restate has signed passes. Source: FACTS.md, Identity keys."""
POLL_SECONDS: Final = 1.0
_CALL_SECONDS: Final = 5
_FORBIDDEN: Final = 403
_LOG_BYTES: Final = 64 * 1024
_PUBLIC_KEY: Final = re.compile(r"publickeyv1_[1-9A-HJ-NP-Za-km-z]+")
"""Restate logs `kid: "publickeyv1_..."` as it starts. Source: restate-server 1.7.12, seen."""

Say = Callable[[str], None]


class Step(StrEnum):
    """What a rotation has to do next, as the Secret tells it."""

    BEGIN = "begin"
    """No rotation is going on: make a key, and let endpoints accept it as well."""
    SWITCH = "switch"
    """Once every endpoint accepts it, make it the one that Restate signs with."""
    RESTART = "restart"
    """Restart Restate, which reads its key at start only."""
    DROP = "drop"
    """Once the last token of the old key has expired, stop accepting it."""
    FINISH = "finish"
    """Once every endpoint has dropped it, the rotation is over."""


def next_step(data: Mapping[str, str], annotations: Mapping[str, str]) -> Step:
    """Tell from the Secret what comes next. Raises ValueError for a key that cannot be read. Pure."""
    upcoming = data.get(NEXT, "")
    if not upcoming:
        return Step.BEGIN
    public = keys.identity_of(upcoming)
    accepted = accepted_keys(data)
    if data.get(PRIVATE, "").strip() != upcoming.strip():
        return Step.SWITCH if public in accepted else Step.BEGIN
    if accepted == [public]:
        return Step.FINISH
    return Step.DROP if SWITCHED_AT in annotations else Step.RESTART


def accepted_keys(data: Mapping[str, str]) -> list[str]:
    """List the public keys that endpoints are told to accept."""
    return [part for part in data.get(ACCEPTED, "").replace(",", " ").split() if part]


def rotate(kube: Kube, release: str, secret: str, stateful_set: str, seconds: float, say: Say) -> None:
    """Begin a rotation, or go on with one that was interrupted, to its end.

    Each step waits at most `seconds`. Raises StackError, and ClusterError from Kubernetes.
    """
    Rotation(kube, release, secret, stateful_set, seconds, say).run()


class Rotation:
    """One run. Every change of the Secret is one patch that fails where somebody else changed it meanwhile."""

    def __init__(self, kube: Kube, release: str, secret: str, stateful_set: str, seconds: float, say: Say) -> None:
        self.kube = kube
        self.release = release
        self.secret = secret
        self.stateful_set = stateful_set
        self.seconds = seconds
        self.say = say
        self.store = Secrets(kube)

    def run(self) -> None:
        """Take step after step."""
        steps = {Step.BEGIN: self._begin, Step.SWITCH: self._switch, Step.RESTART: self._restart, Step.DROP: self._drop}
        while True:
            held = self._held()
            try:
                step = next_step(held.data, held.annotations)
            except ValueError as error:
                raise StackError(f"Secret {self.secret}: {NEXT}: {error}; remove it to begin anew") from None
            if step is Step.FINISH:
                self._finish(held)
                return
            steps[step](held)

    def _held(self) -> Held:
        held = self.store.read(self.secret)
        if held is None:
            raise StackError(f"there is no Secret {self.secret} in namespace {self.kube.namespace}")
        try:
            public = keys.identity_of(held.data.get(PRIVATE, ""))
        except ValueError as error:
            raise StackError(f"Secret {self.secret}: {PRIVATE}: {error}") from None
        if public not in accepted_keys(held.data):
            raise StackError(f"Secret {self.secret}: {ACCEPTED} does not hold {public}, the public key of {PRIVATE}")
        return held

    def _begin(self, held: Held) -> None:
        pem = held.data.get(NEXT, "") or keys.new_pem()
        public = keys.identity_of(pem)
        accepted = ",".join([*accepted_keys(held.data), public])
        # What an earlier rotation may have left of its end would cut this one short.
        self._patch(held, {NEXT: pem, ACCEPTED: accepted}, {SWITCHED_AT: None})
        self.say(f"made {public}; telling the endpoints to accept it as well")

    def _switch(self, held: Held) -> None:
        public = keys.identity_of(held.data[NEXT])
        self._wait_endpoints(held, lambda accepted: public in accepted, f"to accept {public}")
        others = [key for key in accepted_keys(held.data) if key != public]
        # Still under its name as the next one: that is how a repeated run knows of the restart to come.
        self._patch(held, {PRIVATE: held.data[NEXT], ACCEPTED: ",".join([public, *others])})
        self.say("every endpoint accepts it; Restate is to sign with it")

    def _restart(self, held: Held) -> None:
        public = keys.identity_of(held.data[PRIVATE])
        found = self._stateful_set()
        if (found.spec.template.metadata.annotations or {}).get(IDENTITY) != public:
            body = {"spec": {"template": {"metadata": {"annotations": {IDENTITY: public}}}}}
            self.kube.call(
                "restart Restate",
                self.kube.apps.patch_namespaced_stateful_set,
                self.stateful_set,
                self.kube.namespace,
                body,
            )
            self.say(f"restarting StatefulSet {self.stateful_set}")
        self._until(lambda: self._why_restate_is_old(public), "Restate to run with the new key")
        self._patch(held, {}, {SWITCHED_AT: str(int(time.time()))})
        self.say(f"Restate signs with it; what it signed before passes for {TOKEN_SECONDS} s more")

    def _drop(self, held: Held) -> None:
        public = keys.identity_of(held.data[PRIVATE])
        # A node may have been restored from older settings meanwhile.
        self._until(lambda: self._why_restate_is_old(public), "Restate to run with the new key")
        left = float(held.annotations[SWITCHED_AT]) + TOKEN_SECONDS - time.time()
        if left > 0:
            time.sleep(min(left, TOKEN_SECONDS))
        self._patch(held, {ACCEPTED: public})
        self.say("telling the endpoints to drop the old key")

    def _finish(self, held: Held) -> None:
        public = keys.identity_of(held.data[PRIVATE])
        self._wait_endpoints(held, lambda accepted: accepted == [public], "to drop the old key")
        self._patch(held, {NEXT: None}, {SWITCHED_AT: None})
        self.say(f"done: {public} is the only key")

    def _patch(
        self, held: Held, data: Mapping[str, str | None], annotations: Mapping[str, str | None] | None = None
    ) -> None:
        self.store.patch(self.secret, data, held.resource_version, annotations)

    def _stateful_set(self) -> Any:
        found = self.kube.call(
            "read StatefulSets",
            self.kube.apps.read_namespaced_stateful_set,
            self.stateful_set,
            self.kube.namespace,
        )
        if found is None:
            raise StackError(f"there is no StatefulSet {self.stateful_set}: an external Restate's key is its owner's")
        return found

    def _why_restate_is_old(self, public: str) -> str:
        """Say which of Restate's pods, also of those that are just being stopped, may still sign with the old key."""
        pods = self.kube.pods(f"{INSTANCE}={self.release},{COMPONENT}=restate")
        # The pod, and with it its mounted key, was made after the Secret was changed if it has the annotation.
        old = [pod.metadata.name for pod in pods if (pod.metadata.annotations or {}).get(IDENTITY) != public]
        wanted = self._stateful_set().spec.replicas
        if old:
            return f"{', '.join(old)}: not restarted yet"
        # A kubelet might have mounted what it remembered of the Secret; Restate tells which key it has read.
        others = [pod.metadata.name for pod in pods if self._loaded_key(pod.metadata.name) not in ("", public)]
        if others:
            return f"{', '.join(others)}: still loaded the old key: delete the pod"
        unready = [explain_pod(pod, lambda *_: "") or pod.metadata.name for pod in pods if not is_ready(pod)]
        return "; ".join(unready) or ("" if len(pods) == wanted else f"{len(pods)} of {wanted} pods are there")

    def _loaded_key(self, pod: str) -> str:
        found = _PUBLIC_KEY.findall(self.kube.log_head(pod, _LOG_BYTES))
        return str(found[-1]) if found else ""

    def _wait_endpoints(self, held: Held, is_right: Callable[[list[str]], bool], what: str) -> None:
        """Wait until every endpoint pod of every version says so on its /health."""
        self._nudge(held.resource_version)
        self._until(lambda: asyncio.run(_wrong_endpoints(self._endpoint_pods(), is_right)), f"the endpoints {what}")

    def _endpoint_pods(self) -> list[Any]:
        pods = self.kube.pods(f"{INSTANCE}={self.release},{ENDPOINT}")
        return [pod for pod in pods if pod.status.phase not in ("Succeeded", "Failed")]

    def _nudge(self, resource_version: str) -> None:
        """Let kubelets look at the Secret now: they do when a pod's annotations change, else within 90 s."""
        for pod in self._endpoint_pods():
            body = {"metadata": {"annotations": {"nexus.dev/identity-seen": resource_version}}}
            try:
                self.kube.call(
                    "patch Pods", self.kube.core.patch_namespaced_pod, pod.metadata.name, self.kube.namespace, body
                )
            except ClusterError as error:
                if error.status != _FORBIDDEN:
                    raise
                return

    def _until(self, problem: Callable[[], str], what: str) -> None:
        deadline = time.monotonic() + self.seconds
        told = ""
        while found := problem():
            if found != told:
                self.say(f"waiting for {what}: {found}")
                told = found
            if time.monotonic() > deadline:
                raise StackError(
                    f"waited {self.seconds:.0f} s for {what}: {found}; nothing is lost, run it again to go on"
                )
            time.sleep(POLL_SECONDS)


async def _wrong_endpoints(pods: Iterable[Any], is_right: Callable[[list[str]], bool]) -> str:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_CALL_SECONDS)) as session:
        wrong = await asyncio.gather(*(_why_wrong(session, pod, is_right) for pod in pods))
    return "; ".join(filter(None, wrong))


async def _why_wrong(session: aiohttp.ClientSession, pod: Any, is_right: Callable[[list[str]], bool]) -> str:
    name, address = pod.metadata.name, pod.status.pod_ip
    ports = [
        port.container_port for item in pod.spec.containers for port in item.ports or () if port.name == "endpoint"
    ]
    if not address or not ports:
        return f"{name} has no address yet" if ports else f"{name} has no port named endpoint"
    try:
        async with session.get(f"http://{address}:{ports[0]}/health") as answer:
            # Also while it drains (503): what it is still asked is checked with the keys that it says.
            said = answer.headers.get(HEADER, "")
    except (aiohttp.ClientError, TimeoutError) as error:
        if pod.metadata.deletion_timestamp:
            return ""
        return explain_pod(pod, lambda *_: "") or f"{name} does not answer: {type(error).__name__}"
    accepted = [part for part in said.replace(",", " ").split() if part]
    return "" if is_right(accepted) else f"{name} does not yet"
