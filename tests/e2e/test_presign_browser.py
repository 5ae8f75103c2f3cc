"""Presigned URLs in a real browser: a page of another origin stores and fetches objects by them."""

import json
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cloud_environment import minio_variables
from plain_client import plain_client

PAGE = """<!doctype html><meta charset="utf-8"><body></body><script>
(async () => {
  const said = [], [put, get] = %s;
  const told = (attempt) => attempt.then((text) => said.push(text), () => said.push("refused"));
  const stored = async (type) => {
    const answer = await fetch(put, {method: "PUT", body: "from a browser: é", headers: {"content-type": type}});
    return `${answer.status} ${answer.headers.get("etag") !== null}`;
  };
  await told(stored("text/plain"));
  await told(fetch(get).then(async (answer) => `${answer.status} ${await answer.text()}`));
  await told(stored("text/html"));
  document.body.textContent = JSON.stringify(said);
})();
</script>"""


@pytest.fixture
def browser(tmp_path):
    """Opens an address and gives the text that its page has in the end."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no chromium; apt-get install chromium")

    def see(url: str) -> str:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server", "--virtual-time-budget=20000"]
        command = [program, *options, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", url]
        return subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout

    return see


@pytest.fixture
def page():
    """Serves a page; its address."""
    servers = []

    def serve(text: str) -> str:
        class Page(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *arguments):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("key", ["k.txt", "a//é +&.txt"])
def test_a_page_stores_and_fetches_by_presigned_urls(storage, ceph_rgw, new_bucket, page, browser, key):
    bucket = new_bucket(ceph_rgw)
    storage.env |= minio_variables(ceph_rgw, bucket)
    plain = plain_client(ceph_rgw)
    rule = {
        "AllowedMethods": ["GET", "PUT"],
        "AllowedOrigins": ["*"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag"],
    }
    plain.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    put = storage.ok("presign", key, "--method", "PUT", "--content-type", "text/plain").stdout.strip()
    get = storage.ok("presign", key).stdout.strip()
    seen = browser(page(PAGE % json.dumps([put, get])))
    # The bound type is part of the signature: another one is refused, and without CORS headers, so that no status is seen.
    assert '["200 true","200 from a browser: é","refused"]' in seen, seen
    stored = plain.get_object(Bucket=bucket, Key=key)
    assert stored["Body"].read().decode() == "from a browser: é"
    assert stored["ContentType"].startswith("text/plain")
    plain.close()
