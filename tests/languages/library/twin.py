"""The twin: a tool's operation under plain wasmtime, without a gate: twin.py COMPONENT FOLDER < lines of [operation, arguments].

Prints a line of JSON for each call, made by an instance of its own: {"answer"}, {"refusal": [code, message]} or {"trap"}.
FOLDER is /d to the tool.
"""

import json
import sys

from wasmtime import Config, Engine, Store, WasiConfig
from wasmtime.component import Component, Linker, Record


def main(path: str, folder: str) -> None:
    config = Config()
    config.cache = True
    engine = Engine(config)
    component = Component.from_file(engine, path)
    linker = Linker(engine)
    linker.add_wasip2()
    with linker.root() as root, root.add_instance("tollgate:tool/call@0.1.0") as call:
        call.add_func("get-context", context)
        call.add_func("fail", fail)
    for line in sys.stdin:
        store = Store(engine)
        wasi = WasiConfig()
        wasi.preopen_dir(folder, "/d")
        store.set_wasi(wasi)
        print(json.dumps(answered(store, linker, component, *json.loads(line))), flush=True)


def answered(store: Store, linker: Linker, component: Component, operation: str, arguments: dict) -> dict:
    try:
        instance = linker.instantiate(store, component)
        interface = component.get_export_index("tollgate:tool/tool@0.1.0")
        invoke = instance.get_func(store, component.get_export_index("invoke", interface))
        answer = invoke(store, operation, json.dumps(arguments))
    except Exception as error:  # noqa: BLE001 wasmtime's are of several kinds
        return {"trap": str(error)}
    if isinstance(answer, str):
        return {"answer": json.loads(answer)}
    error = getattr(answer, "payload", answer)
    return {"refusal": [error.code, error.message]}


def context(_store):
    told = Record()
    told.id, told.session = "0" * 32, None
    setattr(told, "deadline-left-ms", 60_000)
    return told


def fail(_store, code, message):
    raise RuntimeError(f"{code}: {message}")


main(*sys.argv[1:])
