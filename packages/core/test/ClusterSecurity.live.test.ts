import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { layerCluster } from "@fanout/core/cluster"
import { layerOwnerLiveness } from "@fanout/core/node"
import * as Pools from "@fanout/core/Pools"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import { execFileSync } from "node:child_process"
import * as crypto from "node:crypto"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import * as tls from "node:tls"
import { startStopwatch } from "../../../test/stopwatch.ts"
import { shapeOf } from "../src/internal/cluster/messages.ts"
import { startWorker, until, type Worker } from "./clusterProcesses.ts"
import { byCertificate, clientOf, Echo, layerTasks, secret, Walks } from "./clusterTasks.ts"

const hasOpenssl = (process.env["PATH"] ?? "").split(path.delimiter).some((folder) =>
  fs.existsSync(path.join(folder, "openssl"))
)

/** Makes an authority, and certificates of it, in a folder. */
const certify = (folder: string, ...names: ReadonlyArray<string>): void => {
  const openssl = (...args: ReadonlyArray<string>) => execFileSync("openssl", args, { cwd: folder, stdio: "ignore" })
  fs.mkdirSync(folder)
  fs.writeFileSync(path.join(folder, "names"), "subjectAltName=IP:127.0.0.1")
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
  openssl("req", "-x509", ...curve, "-keyout", "authority.key", "-out", "authority.crt", "-subj", "/CN=authority")
  for (const name of names) {
    openssl("req", "-new", ...curve, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`)
    const authority = ["-CA", "authority.crt", "-CAkey", "authority.key", "-CAcreateserial"]
    openssl("x509", "-req", "-in", `${name}.csr`, ...authority, "-out", `${name}.crt`, "-extfile", "names")
  }
}

const keyOf = (secret: string) => ({
  minVersion: "TLSv1.3",
  ciphers: "TLS_AES_128_GCM_SHA256",
  checkServerIdentity: () => undefined,
  pskCallback: () => ({
    psk: crypto.createHash("sha256").update(`fanout cluster ${secret}`).digest(),
    identity: "fanout"
  })
} as const)

/** Says something to a port, and tells how soon the other side has ended the connection, and what it said before. */
const ends = (socket: net.Socket, says: string | Buffer) =>
  Effect.callback<{ readonly heard: string; readonly millis: number }>((resume) => {
    const elapsed = startStopwatch()
    let heard = ""
    socket.on("data", (data) => {
      heard += data.toString("latin1")
    })
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed({ heard, millis: elapsed() })))
    socket.write(says)
    return Effect.sync(() => void socket.destroy())
  }).pipe(Effect.timeout("10 seconds"))

describe.runIf(process.platform === "linux" && hasOpenssl)("who may connect to a worker", () => {
  let folder: string
  beforeAll(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-security-"))
    certify(path.join(folder, "own"), "worker", "owner")
    certify(path.join(folder, "strange"), "worker", "owner")
  })
  afterAll(() => fs.rmSync(folder, { recursive: true }))

  let databases = 0
  const newRegistry = Effect.sync(() => ({ filename: path.join(folder, `registry-${++databases}.db`) }))

  const echo = TaskDispatcher.TaskDispatcher.use(({ run }) => run(Echo, { text: "here", size: 1 }))
  const over = <E>(tasks: Layer.Layer<Layer.Success<ReturnType<typeof layerTasks>>, E>) =>
    Layer.fresh(Layer.merge(tasks, TaskDispatcher.layer.pipe(Layer.provide(Pools.layer()))))

  /** Whether a worker runs tasks for those who may connect. */
  const works = (worker: Worker, registry: { readonly filename: string }) =>
    Effect.gen(function*() {
      assert.isTrue(worker.isAlive, worker.output)
      assert.strictEqual(yield* Effect.provide(echo, over(layerTasks(registry)), { local: true }), "here")
    })

  it.live("only who has the secret, and others are refused within a second", () =>
    Effect.gen(function*() {
      const registry = yield* newRegistry
      const worker = yield* startWorker(registry)
      const { port } = worker
      const to = { port, host: "127.0.0.1", rejectUnauthorized: false }
      const certificate = {
        cert: fs.readFileSync(path.join(folder, "own/owner.crt")),
        key: fs.readFileSync(path.join(folder, "own/owner.key"))
      }
      const strangers = {
        plain: () => net.connect(port, "127.0.0.1"),
        "without a key": () => tls.connect(to),
        "with a certificate": () => tls.connect({ ...to, ...certificate }),
        "of another version": () =>
          tls.connect({ ...to, ...keyOf(secret), minVersion: "TLSv1.2", maxVersion: "TLSv1.2", ciphers: "PSK" }),
        "with another secret": () => tls.connect({ ...to, ...keyOf(`${secret}?`) })
      }
      for (const [who, connect] of Object.entries(strangers)) {
        const { heard, millis } = yield* ends(connect(), "GET / HTTP/1.1\r\n\r\n")
        assert.isBelow(millis, 1000, who)
        assert.notMatch(heard, /[{\n]/, who)
      }
      yield* works(worker, registry)
      assert.notInclude(worker.output, "ERROR")
      // Nobody finds the secret in what others can read.
      const shown = [
        worker.output,
        fs.readFileSync(`/proc/${worker.pid}/cmdline`, "latin1"),
        ...["", "-wal"].map((end) => fs.readFileSync(`${registry.filename}${end}`, "latin1"))
      ]
      for (const text of shown) assert.notInclude(text, secret)
    }))

  it.live("only who has a certificate of the authority", () =>
    Effect.gen(function*() {
      const registry = yield* newRegistry
      const own = path.join(folder, "own")
      const worker = yield* startWorker(registry, { certificates: own })
      const to = { port: worker.port, host: "127.0.0.1", rejectUnauthorized: false }
      const strange = (name: string) => fs.readFileSync(path.join(folder, "strange", name))
      const strangers = {
        plain: () => net.connect(worker.port, "127.0.0.1"),
        "without a certificate": () => tls.connect(to),
        "with a secret": () => tls.connect({ ...to, ...keyOf(secret) }),
        "of another authority": () => tls.connect({ ...to, cert: strange("owner.crt"), key: strange("owner.key") })
      }
      for (const [who, connect] of Object.entries(strangers)) {
        const { heard, millis } = yield* ends(connect(), "GET / HTTP/1.1\r\n\r\n")
        assert.isBelow(millis, 1000, who)
        assert.notMatch(heard, /[{\n]/, who)
      }
      assert.isTrue(worker.isAlive, worker.output)
      const tasks = layerTasks(registry, byCertificate(own, "owner"))
      assert.strictEqual(yield* Effect.provide(echo, over(tasks), { local: true }), "here")
    }))

  it.live("and an owner connects to no worker that lacks the secret, whatever certificate it shows", () =>
    Effect.gen(function*() {
      const registry = yield* newRegistry
      const own = path.join(folder, "own")
      const worker = yield* startWorker(registry)
      yield* works(worker, registry)
      yield* worker.end
      // Somebody else has its address now, with a certificate that everybody trusts.
      let heard = ""
      const tries: Array<string> = []
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const before = tls.getCACertificates()
          tls.setDefaultCACertificates([fs.readFileSync(path.join(own, "authority.crt"), "utf8")])
          const [key, cert] = ["worker.key", "worker.crt"].map((file) => fs.readFileSync(path.join(own, file)))
          const server = tls.createServer({ key, cert }, (socket) => {
            socket.on("error", () => {})
            socket.on("data", (data) => {
              heard += data.toString()
            })
          }).on("tlsClientError", ({ message }) => tries.push(message)).listen(worker.port, "127.0.0.1")
          return { before, server }
        }),
        ({ before, server }) =>
          Effect.sync(() => {
            tls.setDefaultCACertificates(before)
            server.close()
          })
      )
      const logged: Array<string> = []
      const logger = Logger.layer([
        Logger.make(({ logLevel, message }) => void logged.push(`${logLevel}: ${String(message)}`))
      ])
      const tasks = Layer.provideMerge(over(layerTasks(registry)), logger)
      const fiber = yield* Effect.forkChild(Effect.provide(echo, tasks, { local: true }))
      yield* until("a warning", () => logged.length > 0)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(heard, "")
      assert.isAbove(tries.length, 0)
      assert.match(logged.join(), /^Warn: Worker 127\.0\.0\.1:\d+ can't be reached: .*certificate/)
    }))

  it.live("and what arrives from who may is bounded, and no message ends the worker", () =>
    Effect.gen(function*() {
      const registry = yield* newRegistry
      const worker = yield* startWorker(registry)
      const connect = () =>
        Effect.callback<tls.TLSSocket>((resume) => {
          const socket = tls.connect({ port: worker.port, host: "127.0.0.1", ...keyOf(secret) })
          socket.on("error", () => {})
          socket.on("secureConnect", () => resume(Effect.succeed(socket)))
        })
      const silent = ends(net.connect(worker.port, "127.0.0.1"), "").pipe(Effect.map(({ millis }) => millis))
      const silence = yield* Effect.forkChild(silent)

      // One message of 1 GiB.
      const large = yield* connect()
      const isOver = new Promise((resolve) => large.on("close", resolve))
      const chunk = Buffer.alloc(2 ** 20, "x")
      let sent = 0
      for (; sent < 2 ** 30 && !large.destroyed; sent += chunk.length) {
        const isFull = !large.write(chunk)
        if (isFull) yield* Effect.promise(() => Promise.race([isOver, new Promise((go) => large.once("drain", go))]))
      }
      yield* Effect.promise(() => isOver)
      assert.isBelow(sent, 2 ** 27)

      // What is no greeting, or what no owner tells. It ends the connection, and nothing else.
      const greeting = (tasks: ReadonlyArray<readonly [string, string]>) => JSON.stringify({ protocol: 1, tasks })
      const hello = greeting([["test/Echo", shapeOf(Echo)]])
      const lease = { id: 1, job: null, token: 1, graceMillis: 1, heldUntil: [1e15, 1e15] }
      const task = [2, 1, 0, { text: "a", size: 1 }]
      const told: ReadonlyArray<ReadonlyArray<string>> = [
        ["{"],
        ["null"],
        ["7"],
        [""],
        ["[]"],
        ["{}"],
        ["\xff\xfe"],
        ["GET / HTTP/1.1\r"],
        ["{\"_tag\":\"Request\",\"id\":{},\"tag\":\"__proto__\",\"payload\":null}"],
        [JSON.stringify({ protocol: 1, tasks: [["test/Echo"]] })],
        [hello, "{"],
        [hello, hello, "null"],
        [hello, "{}", "{}\n1 {}"],
        [hello, "{\"tasks\":7}"],
        [hello, JSON.stringify({ leases: [lease], tasks: [[2, 1, 1, {}]] })],
        [hello, JSON.stringify({ leases: [{ ...lease, heldUntil: [null, 1] }] })],
        [hello, JSON.stringify({ leases: [lease], tasks: [[-1, 1, 0, {}]] })],
        [hello, JSON.stringify({ leases: [lease], tasks: [[2, 1]] })],
        [greeting([["test/None", ""]]), JSON.stringify({ leases: [lease], tasks: [task] })],
        [hello, JSON.stringify({ leases: [lease], tasks: [task, task] })]
      ]
      for (const messages of told) {
        const lines = messages.map((text, at) => at === 0 ? text : `${at - 1} ${text}`)
        const { heard } = yield* ends(yield* connect(), Buffer.from(`${lines.join("\n")}\n`, "latin1"))
        assert.isTrue(worker.isAlive, `${messages.join()} has ended the worker: ${worker.output}`)
        assert.strictEqual(heard.includes("\"protocol\":1"), messages.length > 1, heard)
      }
      const other = yield* ends(yield* connect(), `${JSON.stringify({ protocol: 2 })}\n`)
      assert.include(other.heard, "\"protocol\":1")

      // An owner that reads nothing, and goes on to send tasks that come back.
      const hasty = yield* connect()
      const isRefused = new Promise((resolve) => hasty.on("close", resolve))
      hasty.pause()
      hasty.write(`${hello}\n`)
      const many = JSON.stringify({ tasks: Array.from({ length: 1000 }, (_, id) => [id, 9, 0, {}]) })
      for (let at = 0; at < 5000 && !hasty.destroyed; at++) {
        const isFull = !hasty.write(`${at} ${many}\n`)
        if (isFull) {
          yield* Effect.promise(() => Promise.race([isRefused, new Promise((go) => hasty.once("drain", go))]))
        }
      }
      yield* Effect.promise(() => isRefused)
      yield* works(worker, registry)

      assert.isBelow(yield* Fiber.join(silence), 6000)
      const [, rss = ""] = /VmHWM:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${worker.pid}/status`, "utf8")) ?? []
      assert.isBelow(Number(rss), 600_000)
      assert.isBelow(worker.output.length, 20_000, worker.output)
      assert.notInclude(worker.output, secret)
    }))

  it.live("and a short secret is refused", () =>
    Effect.gen(function*() {
      const tasks = layerCluster(Walks, { security: { secret: Redacted.make("short") } }).pipe(
        Layer.provide([clientOf(yield* newRegistry), layerOwnerLiveness])
      )
      const exit = yield* Effect.exit(Effect.provide(echo, over(tasks), { local: true }))
      const text = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
      assert.include(text, "The secret of the cluster has 5 characters. It needs 32 random ones: `openssl rand")
      assert.notInclude(text, "\"short\"")
    }))
})
