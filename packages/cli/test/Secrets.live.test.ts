import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as http from "node:http"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { isLong } from "../../../test/effort.ts"
import { commandLine, watched } from "./command.ts"

const secret = "s3cret/of+nobody"
/** Each spelling of it that is on its way somewhere. */
const spellings = [
  secret,
  encodeURIComponent(secret),
  Buffer.from(`me:${secret}`).toString("base64"),
  Buffer.from(secret).toString("base64")
]
const inUrl = encodeURIComponent(secret)

/** The first of them; in a long run, all. */
const some = <A>(n: number, all: ReadonlyArray<A>): ReadonlyArray<A> => isLong ? all : all.slice(0, n)

const place = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-secrets-"))

/** What an answer says of its request: all of it, in each place that the command might keep. */
const quoting = (status: number, code: string) => (request: http.IncomingMessage, response: http.ServerResponse) => {
  const said = `${request.method} ${request.url} ${JSON.stringify(request.headers).replaceAll(/[<>&]/g, "")}`
  const [Code, Region] = code === "" ? [said, said] : [code, "eu-west-1"]
  response.writeHead(status, { location: `http://me:${inUrl}@127.0.0.1:1/`, "content-type": "application/xml" })
  response.end(`<Error><Code>${Code}</Code><Message>${said}</Message><Region>${Region}</Region></Error>`)
}

const answers: Readonly<Record<string, http.RequestListener>> = {
  "refuses as a bad request": quoting(400, "InvalidArgument"),
  "redirects to its own words": quoting(301, ""),
  "denies": quoting(403, "AccessDenied"),
  "denies in its own words": quoting(403, ""),
  "fails in its own words": quoting(409, ""),
  "redirects": quoting(307, "TemporaryRedirect"),
  "lacks what was asked for": quoting(501, ""),
  "cuts the connection": (request) => request.socket.destroy(),
  "speaks another language": (request) => request.socket.end(`${JSON.stringify(request.headers)}\r\n\r\n`)
}

/** The path begins with how it is answered. */
const server = http.createServer((request, response) => {
  const [, way = ""] = new URL(request.url ?? "", "http://nobody.example").pathname.split("/")
  const answer = answers[decodeURIComponent(way)] ?? quoting(400, "")
  answer(request, response)
})
server.on("connect", (request, socket) => {
  socket.end(`HTTP/1.1 407 ${String(request.headers["proxy-authorization"])}\r\n\r\n`)
})
let at = ""
beforeAll(async () => {
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  at = `127.0.0.1:${typeof address === "object" ? address?.port : ""}`
  fs.mkdirSync(path.join(place, "tree"))
  fs.writeFileSync(path.join(place, "tree", "file"), "text")
  fs.writeFileSync(path.join(place, "sums"), `${"0".repeat(32)}  s3://bucket/file\n`)
})
afterAll(() => {
  server.close()
  fs.rmSync(place, { recursive: true, force: true })
})

/** Each ends by itself, but for the last one: where nothing is reached, its job waits. */
const commands: ReadonlyArray<ReadonlyArray<string>> = [
  ["copy", "tree", "s3://bucket/tree"],
  ["move", "--json", "s3://bucket/tree/file", "moved"],
  ["delete", "--yes", "s3://bucket/tree"],
  ["verify", "--json", "tree", "s3://bucket/tree"],
  ["doctor", "--json", "s3://bucket/tree"],
  ["hash", "--check", "sums"]
]

/** Each text that was printed, and each file that was written, with what a secret stands in of it. */
const leaks = (folder: string, printed: ReadonlyArray<string>): ReadonlyArray<string> =>
  [
    ...printed,
    ...fs.readdirSync(folder, { recursive: true, encoding: "utf8", withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name, parentPath }) => `${name}\0${fs.readFileSync(path.join(parentPath, name), "latin1")}`)
  ].flatMap((text) =>
    spellings.filter((spelling) => text.includes(spelling)).map((spelling) => {
      const start = text.indexOf(spelling)
      return text.slice(Math.max(0, start - 200), start + 100)
    })
  )

const usual = () => ({
  AWS_ENDPOINT_URL: `http://${at}`,
  AWS_ACCESS_KEY_ID: "key",
  AWS_SECRET_ACCESS_KEY: secret,
  AWS_SESSION_TOKEN: secret,
  AWS_REGION: "us-east-1"
})

let runs = 0
/** Runs commands with a database of their own, and what the database tells of their jobs afterwards. */
const run = async (all: ReadonlyArray<ReadonlyArray<string>>, variables: NodeJS.ProcessEnv) => {
  const folder = path.join(place, `run-${runs++}`)
  fs.mkdirSync(folder)
  const start = (args: ReadonlyArray<string>) =>
    watched(spawn(...commandLine(args), {
      cwd: place,
      env: { ...process.env, FANOUT_DB: path.join(folder, "jobs.db"), XDG_STATE_HOME: folder, ...variables },
      stdio: ["ignore", "pipe", "pipe"]
    }))
  const started = all.map(start)
  await Promise.all(started.slice(0, -1).map(({ ended }) => ended))
  const last = started.at(-1)
  const waiting = setTimeout(() => last?.child.kill("SIGKILL"), 3000)
  const ended = await Promise.all(started.map(({ ended }) => ended))
  clearTimeout(waiting)
  const printed = [...ended, await start(["jobs", "list", "--json"]).ended].map(({ stderr, stdout }) => stdout + stderr)
  return { printed, leaks: leaks(folder, printed) }
}

describe("secrets", () => {
  it.each(some(2, Object.keys(answers)))("are told by nobody where a service %s", async (way) => {
    const AWS_ENDPOINT_URL = `http://${at}/${encodeURIComponent(way)}`
    const { leaks } = await run(commands, { ...usual(), AWS_ENDPOINT_URL })
    assert.deepStrictEqual(leaks, [])
  })

  it.each(some<readonly [string, () => NodeJS.ProcessEnv]>(3, [
    ["an endpoint with a password", () => ({ AWS_ENDPOINT_URL: `http://:${inUrl}@${at}` })],
    ["a collector", () => ({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://me:${inUrl}@${at}` })],
    [
      "a proxy that quotes",
      () => ({ HTTP_PROXY: `http://me:${inUrl}@${at}`, AWS_ENDPOINT_URL: "http://nobody.example" })
    ],
    ["a proxy that refuses", () => ({ HTTP_PROXY: `http://me:${inUrl}@127.0.0.1:1` })],
    ["a proxy that ends tunnels", () => ({
      HTTPS_PROXY: `http://me:${inUrl}@${at}`,
      AWS_ENDPOINT_URL: "https://nobody.example"
    })],
    ["a proxy that is no URL", () => ({ HTTPS_PROXY: `http://me:${secret}@:port` })],
    ["an endpoint without TLS", () => ({ AWS_ENDPOINT_URL: `https://${at}` })],
    ["an endpoint that refuses", () => ({ AWS_ENDPOINT_URL: "http://127.0.0.1:1" })],
    ["an endpoint with a user", () => ({ AWS_ENDPOINT_URL: `http://me:${inUrl}@${at}` })],
    ["an endpoint that is no URL", () => ({ AWS_ENDPOINT_URL: `http://me:${secret}@:port` })],
    ["a token of two lines", () => ({ AWS_SESSION_TOKEN: `a\n${secret}` })],
    ["a key of two lines", () => ({ AWS_ACCESS_KEY_ID: `a\n${secret}` })],
    ["a collector that is no URL", () => ({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://me:${secret}@:port` })]
  ]))("are told by nobody of %s", async (_, variables) => {
    const { leaks } = await run(commands, { ...usual(), ...variables() })
    assert.deepStrictEqual(leaks, [])
  })

  it("are told by nobody of addresses", async () => {
    const all = some(1, [`s3://me:${secret}@bucket/x`, `S3://me:${inUrl}@bucket/x`, `https://me:${secret}@host/x`])
      .flatMap(
        (address) => [
          ["copy", "tree", address],
          ["copy", address, "copied"],
          ["move", "--json", address, "moved"],
          ["delete", "--yes", address],
          ["delete", "--dry-run", address],
          ["hash", address],
          ["hash", "--json", "--check", address],
          ["hash", "tree", "--output", address],
          ["verify", "tree", address],
          ["metadata", address],
          ["thumbnail", address, "thumbnails"],
          ["doctor", "--json", address]
        ]
      )
    const { leaks } = await run(all, usual())
    assert.deepStrictEqual(leaks, [])
  })

  it.each(some<readonly [string, (port: number) => string]>(1, [
    ["is unknown", () => `postgres://me:${inUrl}@nobody.invalid/jobs`],
    ["speaks another language", (port) => `postgres://me:${inUrl}@127.0.0.1:${port}/jobs`],
    ["has no TLS", (port) => `postgres://me:${inUrl}@127.0.0.1:${port}/jobs?sslmode=require`],
    ["refuses", () => `postgres://me:${inUrl}@127.0.0.1:1/jobs?connect_timeout=1`]
  ]))("are told by nobody of a database that %s", async (_, address) => {
    const strange = net.createServer((socket) => socket.once("data", (data) => socket.end(data)))
    strange.listen(0, "127.0.0.1")
    await once(strange, "listening")
    const found = strange.address()
    const FANOUT_DB = address(typeof found === "object" ? found?.port ?? 0 : 0)
    const { leaks } = await run([["copy", "tree", "copied"], ["jobs", "list"], ["doctor", "--json"]], {
      FANOUT_DB,
      PGPASSWORD: secret
    })
    strange.close()
    assert.deepStrictEqual(leaks, [])
  })
})
