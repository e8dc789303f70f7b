import { assert, describe, it } from "@effect/vitest"
import type * as Clouds from "@fanout/ops/clouds"
import { type ObjectStore, ObjectStores } from "@fanout/ops/ObjectStore"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { once } from "node:events"
import * as http from "node:http"
import { createServer } from "node:net"
import { afterAll, afterEach, beforeAll } from "vitest"
import { type Asked, type Fault, FaultyS3 } from "./faultyS3.ts"
import { layerOf } from "./s3Endpoint.ts"

let s3: FaultyS3

beforeAll(async () => {
  s3 = await FaultyS3.start()
  s3.buckets.set("one", new Map())
})
afterAll(() => s3.stop())
afterEach(() => s3.calm())

const bytes = Buffer.from("content")

/** Runs with the store of a bucket, whose buckets are there. */
const withStore = <A>(
  body: (store: ObjectStore) => Effect.Effect<A, Clouds.ObjectStoreError>,
  options: Clouds.S3Options = {}
) =>
  Effect.suspend(() =>
    Effect.provide(
      Effect.flatMap(ObjectStores, ({ at }) => Effect.flatMap(at({ scheme: "s3", bucket: "one" }), body)),
      layerOf(s3.service, [], options)
    )
  )

const failureOf = <A>(call: Effect.Effect<A, Clouds.ObjectStoreError>) => Effect.flip(call)

/** The same fault each time, and how often it was met. */
const always = (fault: Fault) => {
  let met = 0
  s3.plan = () => {
    met++
    return fault
  }
  return () => met
}

const first = (fault: Fault, isMeant: (asked: Asked) => boolean = () => true): void => {
  let isDone = false
  s3.plan = (asked) => {
    if (isDone || !isMeant(asked)) return undefined
    isDone = true
    return fault
  }
}

const readAll = (store: ObjectStore, key: string) =>
  Effect.scoped(Effect.flatMap(store.get(key), ({ bytes }) => Stream.runCollect(bytes)))

describe("S3 with faults", () => {
  it.live("tells at once that fewer requests are asked for, and when they are taken again", () =>
    Effect.gen(function*() {
      const met = always({ _tag: "Answer", status: 503, code: "SlowDown", retryAfter: "7" })
      const error = yield* failureOf(withStore((store) => store.put("a", bytes)))
      assert.deepStrictEqual(error.reason, { _tag: "Throttled", code: "SlowDown", afterMillis: 7000 })
      assert.isTrue(error.isTransient)
      assert.strictEqual(met(), 1)
    }))

  it.live("asks once for what the service refuses, and does without from then on", () =>
    Effect.gen(function*() {
      s3.lacks = new Set(["conditions", "deletions"])
      const onCondition = { condition: { _tag: "Absent" } } as const
      const told = yield* withStore((store) =>
        Effect.gen(function*() {
          const refused = yield* Effect.forEach(
            ["new", "newer"],
            (key) => Effect.result(store.put(key, bytes, onCondition))
          )
          for (const key of ["a", "b", "c"]) yield* store.put(key, bytes)
          const failed = [...yield* store.remove(["a", "b"]), ...yield* store.remove(["c", "none"])]
          return [...refused.map((one) => Result.isFailure(one) && one.failure.reason._tag), failed.length]
        })
      )
      assert.deepStrictEqual(told, ["Unsupported", "Unsupported", 0])
      assert.deepStrictEqual(Object.fromEntries(s3.counts), {
        PUT: 1 + 3,
        "POST many": 1,
        DELETE: 4,
        NotImplemented: 1,
        MethodNotAllowed: 1
      })
    }))

  it.live("asks again for what the service has done before, where it refuses that once", () =>
    Effect.gen(function*() {
      const onCondition = { condition: { _tag: "Absent" } } as const
      const isObeyed = yield* withStore((store) =>
        Effect.gen(function*() {
          yield* store.put("obeyed", bytes, onCondition)
          first({ _tag: "Answer", status: 400, code: "InvalidArgument" })
          const odd = yield* Effect.result(store.put("odd", bytes, onCondition))
          assert.deepInclude(Result.isFailure(odd) && odd.failure.reason, { _tag: "Refused", code: "InvalidArgument" })
          return store.capabilities.conditions.put
        })
      )
      assert.isTrue(isObeyed)
    }))

  it.live("lists on where fewer requests were asked for", () =>
    Effect.gen(function*() {
      yield* withStore((store) => store.put("listed", bytes))
      first({ _tag: "Answer", status: 503, code: "SlowDown", retryAfter: "0" })
      const keys = yield* withStore((store) => Stream.runCollect(store.list("listed")))
      assert.deepStrictEqual(keys.map(({ key }) => key), ["listed"])
    }))

  it.live("lists a key that is not UTF-8, and those beside it", () =>
    Effect.gen(function*() {
      for (const key of ["utf/a +%é😀", "utf/c"]) yield* withStore((store) => store.put(key, bytes))
      const objects = s3.buckets.get("one")
      const stored = objects?.get("utf/c")
      if (stored !== undefined) objects?.set("utf/b\udcff", stored)
      const keys = yield* withStore((store) => Stream.runCollect(store.list("utf/")))
      assert.deepStrictEqual(keys.map(({ key }) => key), ["utf/a +%é😀", "utf/b\udcff", "utf/c"])
    }))

  it.live("gives up on a service that fails, after four more attempts", () =>
    Effect.gen(function*() {
      const met = always({ _tag: "Answer", status: 500, code: "InternalError" })
      const error = yield* failureOf(withStore((store) => store.put("a", bytes)))
      assert.deepStrictEqual(error.reason, { _tag: "ServiceFailed", status: 500, code: "InternalError" })
      assert.strictEqual(met(), 5)
    }))

  it.live("does not begin an upload again whose answer was lost or a failure, since the first one may be there", () =>
    Effect.gen(function*() {
      const failed = always({ _tag: "Answer", status: 500, code: "InternalError" })
      const failure = yield* failureOf(withStore((store) => store.uploads.begin("a")))
      assert.deepStrictEqual([failure.reason._tag, failed()], ["ServiceFailed", 1])
      s3.uploads.clear()
      const met = always({ _tag: "CutAfter" })
      const error = yield* failureOf(withStore((store) => store.uploads.begin("a")))
      assert.strictEqual(error.reason._tag, "Unreachable")
      assert.deepStrictEqual([met(), s3.uploads.size], [1, 1])
    }))

  it.live("takes an object for its own whose answer was lost, whatever the condition says then", () =>
    Effect.gen(function*() {
      const condition = { _tag: "Absent" } as const
      const options = { condition, metadata: { nonce: "mine" } }
      first({ _tag: "CutAfter" })
      const stored = yield* withStore((store) => store.put("own", bytes, options))
      assert.strictEqual(stored.etag, "9a0364b9e99bb480dd25e1f0284c8555")
      first({ _tag: "CutBefore" })
      const error = yield* failureOf(
        withStore((store) => store.put("own", bytes, { ...options, metadata: { nonce: "other" } }))
      )
      assert.strictEqual(error.reason._tag, "PreconditionFailed")
    }))

  it.live("sees that bytes were changed on their way to the service, and sends them again", () =>
    Effect.gen(function*() {
      first({ _tag: "Flip" })
      yield* withStore((store) => store.put("flipped", bytes))
      assert.strictEqual(s3.counts.get("XAmzContentSHA256Mismatch"), 1)
      assert.strictEqual(s3.buckets.get("one")?.get("flipped")?.bytes.toString(), "content")
      always({ _tag: "Flip" })
      const error = yield* failureOf(withStore((store) => store.put("flipped", bytes)))
      assert.strictEqual(error.reason._tag, "Corrupt")
    }))

  it.live("fails a read whose connection ends in the middle", () =>
    Effect.gen(function*() {
      yield* withStore((store) => store.put("read", Buffer.alloc(300_000)))
      s3.plan = ({ method }) => method === "GET" ? { _tag: "CutInside" } : undefined
      const error = yield* failureOf(withStore((store) => readAll(store, "read")))
      assert.deepStrictEqual(error.reason, { _tag: "Unreachable", code: "ECONNRESET" })
    }))

  it.live("takes no listing that was cut for a whole one", () =>
    Effect.gen(function*() {
      always({ _tag: "CutInside" })
      const error = yield* failureOf(withStore((store) => Stream.runCollect(store.list(""))))
      assert.strictEqual(error.reason._tag, "Unreachable")
    }))

  it.live("ends requests that are interrupted, and all connections with the layer", () =>
    Effect.gen(function*() {
      yield* withStore((store) =>
        Effect.gen(function*() {
          yield* store.put("a", bytes)
          assert.strictEqual(s3.sockets.size, 1)
          always({ _tag: "Silence" })
          const asked = s3.inFlight
          const fiber = yield* Effect.forkChild(store.put("b", bytes))
          while (s3.inFlight === asked) yield* Effect.sleep(5)
          yield* Fiber.interrupt(fiber)
          while (s3.inFlight > asked) yield* Effect.sleep(5)
          s3.calm()
          yield* store.put("c", bytes)
        })
      )
      while (s3.sockets.size > 0) yield* Effect.sleep(5)
    }), 20_000)

  it.live("ends a read that is left in the middle", () =>
    Effect.gen(function*() {
      yield* withStore((store) =>
        Effect.gen(function*() {
          yield* store.put("large", Buffer.alloc(20_000_000))
          const firstOf = Effect.flatMap(store.get("large"), ({ bytes }) => Stream.runHead(bytes))
          yield* Effect.scoped(firstOf)
          while (s3.inFlight > 0) yield* Effect.sleep(5)
        })
      )
    }), 20_000)

  it.live("has at most so many requests under way as it may have connections", () =>
    Effect.gen(function*() {
      always({ _tag: "Delay", millis: 20 })
      const keys = Array.from({ length: 30 }, (_, index) => `many/${index}`)
      yield* withStore(
        (store) => Effect.forEach(keys, (key) => store.put(key, bytes), { concurrency: "unbounded" }),
        { sockets: 4 }
      )
      assert.strictEqual(s3.mostInFlight, 4)
    }))

  it.live("goes through the proxy that the environment names", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const proxy = http.createServer((request, response) => {
        const { headers, method, url: path = "" } = request
        asked.push(`${method} ${path}`)
        const onward = http.request(path, { method: method ?? "", headers }, (answer) => {
          response.writeHead(answer.statusCode ?? 0, answer.headers)
          answer.pipe(response)
        })
        request.pipe(onward)
      }).listen(0, "127.0.0.1")
      yield* Effect.promise(() => once(proxy, "listening"))
      const address = proxy.address()
      const before = { ...process.env }
      for (const name of ["no_proxy", "NO_PROXY", "http_proxy"]) delete process.env[name]
      process.env["HTTP_PROXY"] = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`
      yield* Effect.ensuring(
        withStore((store) => store.put("a b%", bytes)),
        Effect.sync(() => {
          delete process.env["HTTP_PROXY"]
          Object.assign(process.env, before)
          proxy.close()
          proxy.closeAllConnections()
        })
      )
      assert.deepStrictEqual(asked, [`PUT ${s3.service.endpoint}/one/a%20b%25`])
    }))

  it.live("tells that a service can't be reached", () =>
    Effect.gen(function*() {
      const server = createServer().listen(0, "127.0.0.1")
      yield* Effect.promise(() => once(server, "listening"))
      const address = server.address()
      const port = typeof address === "object" ? address?.port : 0
      yield* Effect.promise(() => once(server.close(), "close"))
      const options = { endpoint: `http://127.0.0.1:${port}` }
      const error = yield* failureOf(withStore((store) => store.head("a"), options))
      assert.deepStrictEqual(error.reason, { _tag: "Unreachable", code: "ECONNREFUSED" })
      assert.match(error.message, /^Could not look at s3:\/\/one\/a: the service can't be reached \(ECONNREFUSED\)\. /)
    }))
})

describe("credentials of S3", () => {
  const wrong = { accessKeyId: "key", secretAccessKey: Redacted.make("not the secret") }

  it.live("are told to be wrong, in each call, and are in no error", () =>
    Effect.gen(function*() {
      const calls: ReadonlyArray<(store: ObjectStore) => Effect.Effect<unknown, Clouds.ObjectStoreError>> = [
        (store) => store.head("a"),
        (store) => store.put("a", bytes),
        (store) => readAll(store, "a"),
        (store) => Stream.runCollect(store.list("")),
        (store) => store.remove(["a"]),
        (store) => store.uploads.begin("a")
      ]
      yield* Effect.forEach(calls, (call) =>
        Effect.gen(function*() {
          const error = yield* failureOf(withStore(call, { credentials: wrong }))
          assert.deepStrictEqual(error.reason, { _tag: "CredentialsRefused", code: "SignatureDoesNotMatch" })
          assert.notInclude(JSON.stringify(error) + error.message + error.stack, "not the secret")
        }))
    }))

  it.live("are told to have expired", () =>
    Effect.gen(function*() {
      s3.expired.add("key")
      const errors = yield* Effect.all([
        failureOf(withStore((store) => store.head("a"))),
        failureOf(withStore((store) => store.put("a", bytes)))
      ])
      const expired = { _tag: "CredentialsExpired", code: "ExpiredToken" }
      assert.deepStrictEqual<unknown>(errors.map(({ reason }) => reason), [expired, expired])
    }))

  it.live("are good, and the clock is wrong", () =>
    Effect.gen(function*() {
      s3.aheadMillis = 20 * 60_000
      const error = yield* failureOf(withStore((store) => store.put("a", bytes)))
      assert.deepStrictEqual(error.reason, { _tag: "ClockWrong" })
      assert.match(error.message, /the clock of this machine is wrong: .*\. Set it/)
    }))
})
