import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { ofWorkers } from "../src/commands/clusterExamination.ts"
import { kindOf } from "../src/machine/Machine.ts"
import * as SharedFiles from "../src/machine/SharedFiles.ts"
import * as ClusterFlags from "../src/options/ClusterFlags.ts"
import type { Database } from "../src/options/Database.ts"
import * as workerText from "../src/ui/workerText.ts"

const file: Database = { shown: "/jobs.db", filename: "/jobs.db" }
const server: Database = { ...file, server: Redacted.make(new URL("postgres://me@db.example/jobs")) }
const secret = "a secret of more than thirty-two characters"

const of = (address: string | undefined, env: Record<string, string>, database = server, shared: Array<string> = []) =>
  ClusterFlags.membership(
    { cluster: Option.fromUndefinedOr(address), shared: shared.map(FilePath.make) },
    database,
    env
  )

const refused = (...args: Parameters<typeof of>) =>
  Effect.map(Effect.flip(of(...args)), ({ code, sentence }) => {
    assert.strictEqual(code, 2)
    return sentence
  })

describe("--cluster", () => {
  it.effect("takes an address, with or without a port", () =>
    Effect.gen(function*() {
      const env = { FANOUT_CLUSTER_SECRET: secret }
      for (
        const [text, host, port, listen] of [
          ["node3", "node3", 7433, "0.0.0.0"],
          ["10.0.0.3:80", "10.0.0.3", 80, "0.0.0.0"],
          ["[fd00::3]:7000", "fd00::3", 7000, "::"],
          ["fd00::3", "fd00::3", 7433, "::"],
          ["127.0.0.1", "127.0.0.1", 7433, "127.0.0.1"]
        ] as const
      ) {
        const found = yield* of(text, env)
        assert.deepInclude(found, { host, port })
        assert.strictEqual(found && ClusterFlags.listenAt(found), listen)
        assert.deepInclude(yield* of(found && ClusterFlags.addressText(found), env), { host, port })
      }
      for (const text of ["", ":7433", "a b", "a:0", "a:70000", "http://a", "[fd00::3", "fd00::3:x"]) {
        assert.include(yield* refused(text, env), "takes a name or an address")
      }
      assert.isUndefined(yield* of(undefined, {}))
    }))

  it.effect("reads the secret, and says what it lacks", () =>
    Effect.gen(function*() {
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-flags-"))
      const named = path.join(folder, "secret")
      fs.writeFileSync(named, `${secret}\n`)
      const found = yield* of("a", { FANOUT_CLUSTER_SECRET_FILE: named, FANOUT_CLUSTER_SECRET: "other" })
      assert.strictEqual(found && "secret" in found.security ? Redacted.value(found.security.secret) : "", secret)
      const half = yield* refused("a", { FANOUT_CLUSTER_CA: named, FANOUT_CLUSTER_KEY: named })
      assert.include(half, "FANOUT_CLUSTER_CERTIFICATE is not set")
      fs.rmSync(folder, { recursive: true })

      assert.include(yield* refused("a", {}), "FANOUT_CLUSTER_SECRET_FILE")
      const short = yield* refused("a", { FANOUT_CLUSTER_SECRET: "s3cret" })
      assert.include(short, "has 6 characters. It takes at least 32")
      assert.notInclude(short, "s3cret")
      const gone = yield* refused("a", { FANOUT_CLUSTER_SECRET_FILE: named })
      assert.include(gone, `FANOUT_CLUSTER_SECRET_FILE names a file that can't be read. Could not read "${named}"`)
    }))

  it.effect("has a SQLite file for one machine only, and folders that are there", () =>
    Effect.gen(function*() {
      const env = { FANOUT_CLUSTER_SECRET: secret }
      assert.include(yield* refused("nas", env, file), "Name a Postgres server with --db")
      assert.deepInclude(yield* of("localhost", env, file), { host: "localhost" })
      assert.include(yield* refused("a", env, server, ["/is/not/there"]), `"/is/not/there" is not there`)
      assert.include(yield* refused(undefined, env, server, ["/"]), "give --cluster HOST, too")
      assert.deepInclude(yield* of("a", { ...env, FANOUT_SHARED: "/dev:/proc" }), {
        shared: ["/dev", "/proc"].map(FilePath.make)
      })
    }))
})

describe("shared files", () => {
  it.effect("are in folders that were named, and on file systems of a network", () =>
    Effect.gen(function*() {
      const { whyNot } = yield* SharedFiles.make([FilePath.make("/dev")])
      const found = (...paths: ReadonlyArray<string>) => Effect.map(whyNot(paths.map(FilePath.make)), Option.getOrNull)
      assert.isNull(yield* found("/dev", "/dev/null"))
      assert.strictEqual(
        yield* found("/dev/null", "/proc/self", "/sys"),
        "\"/proc/self\" is on proc, which other machines may not see"
      )
      const type = (type: string) => SharedFiles.isOnNetwork({ type, kind: kindOf({ type, device: "0:1" }) })
      assert.deepStrictEqual(["nfs4", "cifs", "ceph"].map(type), [true, true, true])
      assert.deepStrictEqual(["ext4", "virtiofs", "fuse.sshfs", "tmpfs"].map(type), [false, false, false, false])
    }))
})

describe("workers", () => {
  const worker = {
    _tag: "Connected",
    address: "a:7433",
    since: 0,
    inHand: 3,
    ended: 1200,
    perSecond: 99.6,
    greetingMillis: 4.2,
    silentMillis: 300,
    isLeaving: false,
    refuses: []
  } as const

  it("are told of in a line", () => {
    assert.strictEqual(
      workerText.sentence(worker, 60_000),
      "Worker a:7433: 3 tasks in hand, 100/s, 1,200 ended in 1 min 0 s, last heard 0.3 s ago, answered in 4 ms"
    )
    assert.isFalse(workerText.isIdle(worker))
    assert.isTrue(workerText.isIdle({ ...worker, inHand: 0 }))
  })

  it("are checked by the doctor", () => {
    assert.deepStrictEqual(
      ofWorkers([
        worker,
        { ...worker, refuses: [["test/Work", "has another version of it"]] },
        { _tag: "Unusable", address: "b:1", why: "can't be reached: connect ECONNREFUSED" },
        { _tag: "Connecting", address: "c:1" }
      ]).map(({ found, state }) => [state, found]),
      [
        ["ok", "a:7433: answered in 4 ms"],
        ["lacking", "a:7433: answered in 4 ms, does not take test/Work (has another version of it)"],
        ["lacking", "b:1: can't be reached: connect ECONNREFUSED"],
        ["lacking", "c:1: has not answered yet"]
      ]
    )
    assert.include(ofWorkers([])[0]?.found, "fanout jobs work --cluster HOST")
  })
})
