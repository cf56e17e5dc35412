"""Talks to peer-lsp-server as an editor does and prints its answers, for FileCheck.

Usage: lsp_client.py SERVER DESCRIPTION [hover|definition|completion LINE TEXT] ...
A request is about the place where TEXT begins in that line; a completion about the place where it ends.
"""
import json
import subprocess
import sys


class Server:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.last, self.notices = 0, []

    def send(self, **message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def receive(self):
        length = None
        while (line := self.process.stdout.readline().strip()):
            name, value = line.split(b":")
            length = int(value) if name == b"Content-Length" else length
        if length is None:
            sys.exit("the server closed its output")
        return json.loads(self.process.stdout.read(length))

    def call(self, method, params):
        self.last += 1
        self.send(id=self.last, method=method, params=params)
        while (message := self.receive()).get("id") != self.last:
            self.notices.append(message)
        if "error" in message:
            sys.exit(f"{method}: {message['error']}")
        return message["result"]

    def notice(self, method):
        while not any(message["method"] == method for message in self.notices):
            self.notices.append(self.receive())
        index = next(i for i, message in enumerate(self.notices) if message["method"] == method)
        return self.notices.pop(index)["params"]


def position(lines, number, text):
    """Behind the first character of a text in a line, counted from 1."""
    return {"line": number - 1, "character": lines[number - 1].index(text) + 1}


def main():
    path, file = sys.argv[1:3]
    text = open(file, encoding="utf-8").read()
    server = Server(path)
    capabilities = server.call("initialize", {"processId": None, "rootUri": None, "capabilities": {}})["capabilities"]
    print("server can:", *sorted(key for key, value in capabilities.items() if value))
    server.send(method="initialized", params={})
    uri = "file:///description.mlir"
    document = {"uri": uri, "languageId": "mlir", "version": 1, "text": text}
    server.send(method="textDocument/didOpen", params={"textDocument": document})
    for diagnostic in server.notice("textDocument/publishDiagnostics")["diagnostics"]:
        print(f"diagnostic, line {diagnostic['range']['start']['line'] + 1}: {diagnostic['message']}")
    lines = text.split("\n")
    for request, line, word in zip(*[iter(sys.argv[3:])] * 3):
        place = position(lines, int(line), word)
        where = {"textDocument": {"uri": uri}, "position": place}
        if request == "hover":
            print(f"hover {word}:\n{server.call('textDocument/hover', where)['contents']['value']}")
        elif request == "definition":
            for found in server.call("textDocument/definition", where):
                start = found["range"]["start"]["line"]
                print(f"definition {word}: line {start + 1}: {lines[start].strip()}")
        else:
            place["character"] += len(word) - 1
            result = server.call("textDocument/completion", where)
            items = result["items"] if isinstance(result, dict) else result
            print(f"completion {word}:", *sorted(item["label"] for item in items))
    server.call("shutdown", None)
    server.send(method="exit")
    server.process.stdin.close()
    print("exit code", server.process.wait(timeout=60))


main()
