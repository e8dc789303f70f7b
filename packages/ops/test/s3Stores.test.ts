import { assert, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as http from "node:http"
import { Socket } from "node:net"
import { makeTransport } from "../src/internal/cloud/httpTransport.ts"
import { openWay } from "../src/internal/cloud/s3Stores.ts"

describe("The way to a bucket", () => {
  it.effect.each(["HTTP_PROXY", "HTTPS_PROXY"])(
    "tells nothing of a proxy that is no URL (%s)",
    (name) =>
      Effect.gen(function*() {
        const before = process.env[name]
        process.env[name] = "http://user:secret@:port"
        const given = {
          endpoint: "http://localhost:1",
          region: "us-east-1",
          credentials: { accessKeyId: "key", secretAccessKey: Redacted.make("word") },
          sockets: 1
        }

        const exit = yield* Effect.exit(Effect.scoped(openWay(given, "bucket")))
        if (before === undefined) delete process.env[name]
        else process.env[name] = before

        assert.strictEqual(exit._tag, "Failure")
        assert.notInclude(`${String(exit)} ${JSON.stringify(exit)}`, "secret")
        assert.include(String(exit), "Check HTTP_PROXY")
      })
  )

  it.effect("tells nothing of what an error says that has no code", () =>
    Effect.gen(function*() {
      const connections = vi.spyOn(http.Agent.prototype, "createConnection").mockImplementation((_, callback) => {
        callback?.(new TypeError("http://user:secret@proxy"), new Socket())
        return undefined
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => connections.mockRestore()))
      const { send } = yield* makeTransport({ sockets: 1 })
      const endpoint = { protocol: "http:", hostname: "localhost", port: 1 } as const

      const lost = yield* Effect.flip(
        send(endpoint, { method: "GET", path: "/", headers: {}, patienceMillis: 1000 })
      )

      assert.strictEqual(lost.code, "TypeError")
    }))
})
