"""The documented snippets of other languages, run for real where this machine has the language, and curl.

Each is what the public documents show, with another URL: a picture as base64 in the body, then a hosted picture.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.serve.clients.agreement import EVERY, boxes

pytestmark = pytest.mark.clients

NODE = """
const fs = require("fs");
async function main() {
  const image = fs.readFileSync("a.jpg", { encoding: "base64" });
  let answers = [];
  answers.push(await (await fetch(`${URL}/det/1?api_key=KEY`, {
    method: "POST", body: image, headers: { "Content-Type": "application/x-www-form-urlencoded" } })).json());
  answers.push(await (await fetch(`${URL}/det/1?api_key=KEY&image=${encodeURIComponent(HOST + "/a.jpg")}`,
    { method: "POST" })).json());
  const form = new FormData();
  form.append("file", new Blob([fs.readFileSync("a.jpg")]), "a.jpg");
  answers.push(await (await fetch(`${URL}/det/1?api_key=KEY`, { method: "POST", body: form })).json());
  answers.push(await (await fetch(`${URL}/infer/object_detection`, { method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ model_id: "det/1", api_key: "KEY", image: { type: "base64", value: image } }) })).json());
  console.log(JSON.stringify(answers));
}
const [URL, HOST] = process.argv.slice(2);
main();
"""

JAVA = """
import java.io.*; import java.net.*; import java.nio.charset.StandardCharsets; import java.nio.file.*;
import java.util.Base64;
public class Snippet {
  static String read(HttpURLConnection connection) throws IOException {
    try (BufferedReader reader = new BufferedReader(new InputStreamReader(connection.getInputStream()))) {
      StringBuilder text = new StringBuilder();
      String line;
      while ((line = reader.readLine()) != null) text.append(line);
      return text.toString();
    } finally { connection.disconnect(); }
  }
  public static void main(String[] args) throws Exception {
    String encoded = new String(Base64.getEncoder().encode(Files.readAllBytes(Paths.get("a.jpg"))),
        StandardCharsets.US_ASCII);
    HttpURLConnection first = (HttpURLConnection) new URL(args[0] + "/det/1?api_key=KEY&name=YOUR_IMAGE.jpg")
        .openConnection();
    first.setRequestMethod("POST");
    first.setRequestProperty("Content-Type", "application/x-www-form-urlencoded");
    first.setRequestProperty("Content-Length", Integer.toString(encoded.getBytes().length));
    first.setRequestProperty("Content-Language", "en-US");
    first.setUseCaches(false);
    first.setDoOutput(true);
    DataOutputStream out = new DataOutputStream(first.getOutputStream());
    out.writeBytes(encoded);
    out.close();
    String hosted = args[0] + "/det/1?api_key=KEY&image=" + URLEncoder.encode(args[1] + "/a.jpg", "utf-8");
    HttpURLConnection second = (HttpURLConnection) new URL(hosted).openConnection();
    second.setRequestMethod("POST");
    second.setRequestProperty("Content-Type", "application/x-www-form-urlencoded");
    second.setUseCaches(false);
    second.setDoOutput(true);
    HttpURLConnection third = (HttpURLConnection) new URL(hosted).openConnection();
    System.out.println("[" + read(first) + "," + read(second) + "," + read(third) + "]");
  }
}
"""

PHP = """<?php
$data = base64_encode(file_get_contents("a.jpg"));
$ask = fn($url, $content) => file_get_contents($url, false, stream_context_create(["http" => [
    "header" => "Content-type: application/x-www-form-urlencoded\\r\\n", "method" => "POST", "content" => $content]]));
echo "[", $ask($argv[1] . "/det/1?api_key=KEY&name=YOUR_IMAGE.jpg", $data), ",",
    $ask($argv[1] . "/det/1?api_key=KEY&image=" . urlencode($argv[2] . "/a.jpg"), ""), "]";
"""

RUBY = """
require "base64"
require "cgi"
require "net/http"
encoded = Base64.encode64(File.open("a.jpg", "rb").read)
first = Net::HTTP.post(URI("#{ARGV[0]}/det/1?api_key=KEY&name=YOUR_IMAGE.jpg"), encoded,
  "Content-Type" => "application/x-www-form-urlencoded")
second = Net::HTTP.post(URI("#{ARGV[0]}/det/1?api_key=KEY&image=#{CGI.escape(ARGV[1] + "/a.jpg")}"), "")
puts "[#{first.body},#{second.body}]"
"""

GO = """
package main

import ("encoding/base64"; "fmt"; "io"; "net/http"; "net/url"; "os"; "strings")

func ask(address string, body string) string {
	request, _ := http.NewRequest("POST", address, strings.NewReader(body))
	request.Header.Set("Accept", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil { panic(err) }
	text, _ := io.ReadAll(answer.Body)
	return string(text)
}

func main() {
	data, _ := os.ReadFile("a.jpg")
	first := ask(os.Args[1]+"/det/1?api_key=KEY", base64.StdEncoding.EncodeToString(data))
	second := ask(os.Args[1]+"/det/1?api_key=KEY&image="+url.QueryEscape(os.Args[2]+"/a.jpg"), "")
	fmt.Printf("[%s,%s]", first, second)
}
"""

SNIPPETS = {
    "node": ("node", "snippet.js", NODE, ["node", "snippet.js"]),
    "java": ("java", "Snippet.java", JAVA, ["java", "Snippet.java"]),
    "php": ("php", "snippet.php", PHP, ["php", "snippet.php"]),
    "ruby": ("ruby", "snippet.rb", RUBY, ["ruby", "snippet.rb"]),
    "go": ("go", "snippet.go", GO, ["go", "run", "snippet.go"]),
}
"""Language -> program, file, source, command."""


@pytest.mark.parametrize("language", SNIPPETS)
def test_snippets(facts: dict[str, Any], tmp_path: Path, language: str) -> None:
    program, name, source, command = SNIPPETS[language]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    (tmp_path / name).write_text(source)
    shutil.copy(f"{facts['folder']}/a.jpg", tmp_path)
    done = subprocess.run(
        [*command, facts["url"], facts["host"]], cwd=tmp_path, timeout=110, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert len(answers) >= 2
    assert [boxes(answer) for answer in answers] == [EVERY] * len(answers)


CURLS = {
    "base64 on one line": "base64 a.jpg | curl -sf -d @- '{url}/det/1?api_key=KEY'",
    "base64 with newlines": "base64 a.jpg | curl -sf --data-binary @- '{url}/det/1?api_key=KEY'",
    "a form": "curl -sf -F file=@a.jpg '{url}/det/1?api_key=KEY'",
    "the bytes themselves": "curl -sf --data-binary @a.jpg '{url}/det/1?api_key=KEY'",
    "hosted": "curl -sf -X POST '{url}/det/1?api_key=KEY&image={host}/a.jpg'",
    "hosted, GET": "curl -sf '{url}/det/1?api_key=KEY&image={host}/a.jpg'",
    "no content type": "base64 -w0 a.jpg | curl -sf -H Content-Type: --data-binary @- '{url}/det/1?api_key=KEY'",
    "expect": "base64 -w0 a.jpg | curl -sf -H 'Expect: 100-continue' --data-binary @- '{url}/det/1?api_key=KEY'",
    "chunked": "base64 -w0 a.jpg | curl -sf -H 'Transfer-Encoding: chunked' --data-binary @- '{url}/det/1?api_key=KEY'",
    "two slashes": "base64 a.jpg | curl -sf -d @- '{url}//det/1?api_key=KEY'",
    "v1": (
        'printf \'{{"model_id":"det/1","image":{{"type":"base64","value":"%s"}}}}\' "$(base64 -w0 a.jpg)" |'
        " curl -sf -H 'Content-Type: application/json' -d @- {url}/infer/object_detection"
    ),
}


@pytest.mark.parametrize("name", CURLS)
def test_curl(facts: dict[str, Any], name: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = CURLS[name].format(url=facts["url"], host=facts["host"])
    done = subprocess.run(["bash", "-c", command], cwd=facts["folder"], timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert boxes(json.loads(done.stdout)) == EVERY


@pytest.mark.parametrize("name", ["a.jpg", "clip.mkv"])
def test_curl_to_hub(facts: dict[str, Any], name: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    options = ["-F", "model=det/1", "-F", f"file=@{name}", "-F", "imgsz=640", "-F", "conf=0.25", "-F", "iou=0.45"]
    command = ["curl", "-sf", "-X", "POST", facts["url"], "-H", "x-api-key: KEY", *options]
    done = subprocess.run(command, cwd=facts["folder"], timeout=60, capture_output=True, text=True)
    images = json.loads(done.stdout)["images"]
    assert len(images) == (5 if name == "clip.mkv" else 1)
    assert all([row["name"] for row in image["results"]] == ["cat", "dog", "dog"] for image in images)
