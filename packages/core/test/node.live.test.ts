import { assert, describe, it } from "@effect/vitest"
import * as JobStore from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as Node from "@fanout/core/node"
import { Owner, OwnerLiveness } from "@fanout/core/OwnerLiveness"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Reactivity from "effect/reactivity/Reactivity"
import { SqlClient } from "effect/sql/SqlClient"
import { LockTimeoutError, SqlError } from "effect/sql/SqlError"
import * as TestClock from "effect/testing/TestClock"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { unsafeFileSystem } from "../src/internal/node/databaseFile.ts"
import { mountIn } from "../src/internal/node/linux.ts"
import { isDead, parseStat, type Sight } from "../src/internal/node/processOwner.ts"
import * as SqliteClient from "../src/internal/node/sqliteClient.ts"
import { jobStoreContract } from "./JobStoreContract.ts"
import { job } from "./JobStoreRecords.ts"

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "fanout-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
)

jobStoreContract(
  "SQLite file",
  Layer.unwrap(Effect.map(temporaryFolder, (folder) => Node.layerSqlite({ filename: path.join(folder, "jobs.db") })))
)

describe("layerSqlite", () => {
  const open = (filename: string, synchronous?: "NORMAL" | "FULL") =>
    Effect.scoped(Layer.build(Layer.fresh(Node.layerSqlite({ filename, synchronous }))))

  const problemOf = <A, R>(effect: Effect.Effect<A, JobStoreError, R>) =>
    Effect.map(
      Effect.flip(effect),
      ({ reason }) => reason._tag === "StorageFailure" ? `${reason.problem} (${reason.operation})` : reason._tag
    )

  it.effect("makes the file and its folder for nobody else to read", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const filename = path.join(folder, "new", "deep", "jobs.db")

      yield* Effect.scoped(Effect.gen(function*() {
        yield* Layer.build(Layer.fresh(Node.layerSqlite({ filename })))
        for (const file of [filename, `${filename}-wal`, `${filename}-shm`]) {
          assert.strictEqual(fs.statSync(file).mode & 0o777, 0o600, file)
        }
      }))

      assert.strictEqual(fs.statSync(path.join(folder, "new")).mode & 0o777, 0o700)
      assert.strictEqual(fs.statSync(path.join(folder, "new", "deep")).mode & 0o777, 0o700)
    }))

  it.effect("leaves the permissions of a folder that was there", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      fs.chmodSync(folder, 0o755)

      yield* open(path.join(folder, "jobs.db"))

      assert.strictEqual(fs.statSync(folder).mode & 0o777, 0o755)
    }))

  it.effect("takes any path for a file, never for a URI or for nothing", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const cwd = process.cwd()
      yield* Effect.acquireUseRelease(
        Effect.sync(() => process.chdir(folder)),
        () => open("file:jobs.db?mode=memory"),
        () => Effect.sync(() => process.chdir(cwd))
      )

      assert.isTrue(fs.existsSync(path.join(folder, "file:jobs.db?mode=memory")))
      assert.strictEqual(yield* problemOf(open("")), "Unreadable (open)")
      assert.strictEqual(yield* problemOf(open("a\0b")), "Other (open)")
    }))

  it.effect("keeps a write-ahead log, and syncs as often as it is told", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      for (const [synchronous, level] of [["NORMAL", 1], ["FULL", 2]] as const) {
        const filename = path.join(folder, `${synchronous}.db`)

        const sql = yield* SqliteClient.make({ filename, busyTimeoutMillis: 10, synchronous })

        assert.deepEqual(yield* sql`pragma journal_mode`, [{ journal_mode: "wal" }])
        assert.deepEqual(yield* sql`pragma synchronous`, [{ synchronous: level }])
        assert.deepEqual(yield* sql`pragma busy_timeout`, [{ timeout: 10 }])
        yield* open(filename, synchronous)
      }
    }).pipe(Effect.provide(Reactivity.layer)))

  it.effect("tells what can't be opened", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const text = path.join(folder, "text.db")
      fs.writeFileSync(text, "This is the text of a letter, and no database. ".repeat(100))

      assert.strictEqual(yield* problemOf(open(text)), "Corrupt (open)")
      assert.strictEqual(yield* problemOf(open(folder)), "Unreadable (open)")
      assert.include(yield* Effect.flip(open(folder)), {
        message: `The job store failed to open: ${folder} is a folder`
      })
      assert.strictEqual(yield* problemOf(open("/dev/null")), "Unreadable (open)")
      assert.strictEqual(yield* problemOf(open(path.join(text, "jobs.db"))), "Unreadable (open)")
      assert.strictEqual(yield* problemOf(open(path.join(folder, "n".repeat(300)))), "Unreadable (open)")
      assert.strictEqual(yield* problemOf(open("/proc/none/jobs.db")), "Unreadable (open)")
      assert.strictEqual(fs.readFileSync(text, "utf8").length, 4700)
      const descriptors = fs.readdirSync("/proc/self/fd").map((fd) => {
        try {
          return fs.readlinkSync(`/proc/self/fd/${fd}`)
        } catch {
          return ""
        }
      })
      assert.notInclude(descriptors, text)
    }))

  it.effect("waits for who opens the same new database", () =>
    Effect.gen(function*() {
      const filename = path.join(yield* temporaryFolder, "jobs.db")
      const stores = yield* Effect.forEach([1, 2, 3, 4, 5], (n) =>
        Effect.map(Layer.build(Layer.fresh(Node.layerSqlite({ filename }))), (context) => [n, context] as const), {
        concurrency: "unbounded"
      })

      for (const [n, context] of stores) {
        yield* Effect.flatMap(JobStore.JobStore, (store) =>
          store.insert(job(`${n}`))).pipe(Effect.provide(context))
      }
    }))

  it.effect("refuses a network file system, and makes nothing there", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const filename = path.join(folder, "jobs.db")
      const { statfsSync } = fs
      const module = process.getBuiltinModule("node:fs")
      const mounted = Object.assign(
        (place: fs.PathLike) => ({ ...statfsSync(place), type: String(place).startsWith(folder) ? 0x6969 : 0 }),
        {}
      )
      const pretend = (replacement: unknown) =>
        Effect.sync(() => {
          Object.assign(module, { statfsSync: replacement })
          syncBuiltinESMExports()
        })

      const error = yield* Effect.acquireUseRelease(
        pretend(mounted),
        () => Effect.flip(open(filename)),
        () => pretend(statfsSync)
      )

      assert.deepInclude(error.reason, { _tag: "UnsafeFileSystem", path: filename, fileSystem: "NFS" })
      assert.match(error.message, /damage it\. Keep it on a local disk$/)
      assert.deepStrictEqual(fs.readdirSync(folder), [])
    }))

  it("knows file systems by their numbers, and those in user space by their mounts", () => {
    const none = () => undefined
    assert.isUndefined(unsafeFileSystem(0xef53, none))
    assert.isUndefined(unsafeFileSystem(0x01021994, none))
    assert.strictEqual(unsafeFileSystem(0xff534d42, none), "CIFS")
    // The same number, read as a signed one.
    assert.strictEqual(unsafeFileSystem(0xff534d42 - 2 ** 32, none), "CIFS")
    assert.strictEqual(unsafeFileSystem(0x01021997, none), "9P")
    assert.strictEqual(unsafeFileSystem(0x65735546, () => "fuse.sshfs"), "FUSE (fuse.sshfs)")
    assert.strictEqual(unsafeFileSystem(0x65735546, none), "FUSE (unknown)")
    assert.isUndefined(unsafeFileSystem(0x65735546, () => "fuseblk"))
  })

  it("finds the mount that a path is in", () => {
    const mounts = [
      "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw",
      "40 22 0:30 / /mnt/my\\040disk rw - fuseblk /dev/sdb1 rw",
      "41 22 0:31 / /mnt rw - tmpfs tmpfs rw",
      "42 22 0:32 / /home/user rw shared:7 master:1 - fuse.sshfs host: rw",
      "43 22 0:33 / /home/user rw - nfs4 server: rw",
      ""
    ].join("\n")
    assert.strictEqual(mountIn(mounts, "/mnt/my disk/jobs.db")?.type, "fuseblk")
    assert.strictEqual(mountIn(mounts, "/mnt/my disks")?.type, "tmpfs")
    assert.strictEqual(mountIn(mounts, "/home/user")?.type, "nfs4")
    assert.strictEqual(mountIn(mounts, "/home/username")?.type, "ext4")
    assert.isUndefined(mountIn("", "/home"))
  })
})

describe("a Node that is too old", () => {
  it("is told so before anything else, also where it has no SQLite", () => {
    const tooOld = "data:text/javascript,Object.defineProperty(process, 'versions', { value: { node: '20.19.5' } })"
    const flags = ["--conditions=@fanout/source", "--no-experimental-sqlite", "--import", tooOld, "--input-type=module"]

    const { status, stderr } = spawnSync(process.execPath, [...flags, "--eval", `import "@fanout/core/node"`], {
      encoding: "utf8"
    })

    assert.strictEqual(status, 1)
    assert.include(stderr, "Error: @fanout/core/node needs Node.js 24 or newer; this is v20.19.5.\n")
    assert.notInclude(stderr, "node:sqlite\n")
  })
})

describe("the SQLite client", () => {
  const memory = Layer.provide(
    Layer.effect(SqlClient, SqliteClient.make({ filename: ":memory:", busyTimeoutMillis: 0, synchronous: "NORMAL" })),
    Reactivity.layer
  )

  it.effect("gives rows as objects or as lists of values, prepared or not", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient
      const statement = sql`select 1 as one, ${"two"} as two`

      assert.deepEqual(yield* statement, [{ one: 1, two: "two" }])
      assert.deepEqual(yield* statement.values, [[1, "two"]])
      assert.deepEqual(yield* statement.unprepared, [{ one: 1, two: "two" }])
      assert.deepEqual(yield* statement.valuesUnprepared, [[1, "two"]])
      assert.deepEqual(yield* statement, [{ one: 1, two: "two" }])
      assert.deepEqual(yield* sql`create table kept (value blob)`, [])
      const bytes = new Uint8Array([0, 128, 255])
      assert.deepEqual(yield* sql`insert into kept values (${bytes})`.raw, { changes: 1, lastInsertRowid: 1 })
      assert.deepEqual(yield* sql`select value from kept`, [{ value: bytes }])
    }).pipe(Effect.provide(memory)))

  it.effect("prepares any number of statements", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient
      for (let round = 0; round < 2; round++) {
        for (let i = 0; i < 400; i++) assert.deepEqual(yield* sql.unsafe(`select ${i} as i`), [{ i }])
      }
    }).pipe(Effect.provide(memory)))

  it.effect("fails with what SQLite says, and with what it can't keep", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient

      const syntax = yield* Effect.flip(sql`selekt 1`)
      const value = yield* Effect.flip(sql`select ${{ no: "value" }}`)

      assert.include(syntax.message, "syntax error")
      assert.include(value.message, "SQLite keeps")
    }).pipe(Effect.provide(memory)))

  it.effect("rolls back, but not what SQLite has rolled back itself", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient
      yield* sql`create table kept (value integer)`

      const failed = sql.withTransaction(Effect.andThen(sql`insert into kept values (1)`, Effect.fail("no")))
      const gone = sql.withTransaction(Effect.andThen(sql`rollback`, Effect.fail("no")))
      const nested = sql.withTransaction(Effect.andThen(Effect.ignore(failed), sql`insert into kept values (2)`))

      assert.deepStrictEqual(yield* Effect.exit(failed), Exit.fail("no"))
      assert.deepStrictEqual(yield* Effect.exit(gone), Exit.fail("no"))
      yield* nested
      assert.deepEqual(yield* sql`select value from kept`, [{ value: 2 }])
    }).pipe(Effect.provide(memory)))
})

describe("layerSqlClient", () => {
  const lockTimeout = new SqlError({ reason: new LockTimeoutError({ cause: "own", message: "own" }) })

  /** A client, and somebody else who holds the lock for writing of the same database. */
  const locked = Effect.gen(function*() {
    const filename = path.join(yield* temporaryFolder, "app.db")
    const sql = Context.get(yield* Layer.build(Layer.fresh(Node.layerSqlClient({ filename }))), SqlClient)
    yield* sql`create table notes (text text not null)`
    const other = yield* Effect.acquireRelease(
      Effect.sync(() => new DatabaseSync(filename)),
      (other) => Effect.sync(() => other.close())
    )
    other.exec("begin immediate; insert into notes values ('theirs')")
    return {
      sql,
      other,
      texts: Effect.map(sql`select text from notes order by 1`, (rows) => rows.map(({ text }) => text))
    }
  })

  it.effect("waits for who has the database locked, and lets others read meanwhile", () =>
    Effect.gen(function*() {
      const { other, sql, texts } = yield* locked
      const writing = yield* Effect.forkChild(sql`insert into notes values ('mine')`)
      const counting = yield* Effect.forkChild(
        sql.withTransaction(Effect.tap(texts, (texts) => sql`insert into notes values (${`behind ${texts.length}`})`))
      )

      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual([writing, counting].map((fiber) => fiber.pollUnsafe()), [undefined, undefined])
      assert.deepStrictEqual(yield* texts, [])
      other.exec("commit")
      yield* TestClock.adjust("1 second")

      yield* Fiber.join(writing)
      // Who has read in a transaction can still write in it: nobody else has since it began.
      const read = yield* Fiber.join(counting)
      assert.include(read, "theirs")
      assert.deepStrictEqual(yield* texts, [`behind ${read.length}`, "mine", "theirs"])
    }))

  it.effect("fails after half a minute, and has then begun nothing", () =>
    Effect.gen(function*() {
      const { sql } = yield* locked
      let begun = 0
      const failures = yield* Effect.forkChild(Effect.all([
        Effect.flip(sql`insert into notes values ('mine')`),
        Effect.flip(sql.withTransaction(Effect.sync(() => begun++)))
      ], { concurrency: "unbounded" }))

      yield* TestClock.adjust("29 seconds")
      assert.isUndefined(failures.pollUnsafe())
      yield* TestClock.adjust("3 seconds")

      assert.deepStrictEqual(
        (yield* Fiber.join(failures)).map(({ reason }) => reason._tag),
        ["LockTimeoutError", "LockTimeoutError"]
      )
      assert.strictEqual(begun, 0)
    }))

  it.effect("runs what a transaction is made of once, whatever that fails with", () =>
    Effect.gen(function*() {
      const { other, sql } = yield* locked
      other.exec("rollback")
      let begun = 0
      const failing = Effect.andThen(Effect.sync(() => begun++), Effect.fail(lockTimeout))

      assert.strictEqual(yield* Effect.flip(sql.withTransaction(failing)), lockTimeout)
      assert.strictEqual(begun, 1)
    }))

  it.effect("can be interrupted while it waits", () =>
    Effect.gen(function*() {
      const { sql } = yield* locked
      const waiting = yield* Effect.forkChild(Effect.timeoutOption(sql.withTransaction(Effect.void), "1 second"))

      yield* TestClock.adjust("1 second")

      assert.deepStrictEqual(yield* Fiber.join(waiting), Option.none())
    }))
})

describe("layerOwnerLiveness", () => {
  const start = (...command: [string, ...Array<string>]) =>
    Effect.acquireRelease(
      Effect.promise(async () => {
        const [file, ...args] = command
        const child = spawn(file, args, { stdio: ["pipe", "pipe", "inherit"] })
        await once(child, "spawn")
        return child
      }),
      (child) => Effect.promise(() => end(child))
    )

  const end = async (child: ChildProcess) => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill("SIGKILL")
    await once(child, "exit")
  }

  /** A child that runs Node and prints how it names itself. */
  const startOwner = Effect.gen(function*() {
    const script = `
      import * as Node from "@fanout/core/node"
      import { OwnerLiveness } from "@fanout/core/OwnerLiveness"
      import * as Effect from "effect/Effect"
      const { self } = await Effect.runPromise(Effect.provide(OwnerLiveness, Node.layerOwnerLiveness))
      console.log(JSON.stringify(self))
      setInterval(() => {}, 1000)`
    const child = yield* start(process.execPath, "--conditions=@fanout/source", "--input-type=module", "--eval", script)
    const [line] = yield* Effect.promise(() => once(child.stdout, "data"))
    return { child, owner: new Owner(JSON.parse(String(line))) }
  })

  const live = <A, E, R>(body: (liveness: OwnerLiveness["Service"]) => Effect.Effect<A, E, R>) => () =>
    Effect.scoped(Effect.flatMap(OwnerLiveness, body)).pipe(Effect.provide(Node.layerOwnerLiveness))

  /** How this layer would name another process of this machine. */
  const named = ({ boot, machine }: Owner, pid: number | undefined) => {
    const stat = parseStat(fs.readFileSync(`/proc/${pid}/stat`, "latin1"))
    return new Owner({ boot, machine, process: `${pid}-${typeof stat === "string" ? "" : stat.started}` })
  }

  it.live(
    "calls an owner alive that runs or is stopped, and dead once it was killed",
    live(({ isDead, self }) =>
      Effect.gen(function*() {
        const { child, owner } = yield* startOwner
        assert.deepStrictEqual([owner.machine, owner.boot], [self.machine, self.boot])
        assert.notStrictEqual(owner.process, self.process)
        assert.isFalse(yield* isDead(self))
        assert.isFalse(yield* isDead(owner))
        child.kill("SIGSTOP")
        assert.isFalse(yield* isDead(owner))

        yield* Effect.promise(() => end(child))

        assert.isTrue(yield* isDead(owner))
      })
    )
  )

  it.live(
    "calls an owner dead whose parent has not noticed yet",
    live(({ isDead, self }) =>
      Effect.gen(function*() {
        // The shell becomes a program that never looks after its child.
        const parent = yield* start("sh", "-c", "sleep 0.3 & echo $!; exec sleep 60")
        const [pid] = yield* Effect.promise(() => once(parent.stdout, "data"))
        const zombie = named(self, Number(pid))
        assert.isFalse(yield* isDead(zombie))

        while (!/\) Z/.test(fs.readFileSync(`/proc/${Number(pid)}/stat`, "latin1"))) yield* Effect.sleep("20 millis")

        assert.isTrue(yield* isDead(zombie))
      })
    )
  )

  it.live(
    "calls an owner dead whose id another process has",
    live(({ isDead, self }) =>
      Effect.gen(function*() {
        const child = yield* start("sleep", "60")
        const owner = named(self, child.pid)
        assert.isFalse(yield* isDead(owner))

        const former = new Owner({ ...owner, process: `${child.pid}-1` })

        assert.isTrue(yield* isDead(former))
      })
    )
  )

  it("never calls dead what it can't see", () => {
    const self = new Owner({ machine: "m", boot: "b", process: "10-100" })
    const gone = (): Sight => "Gone"
    const dead = (owner: Partial<Owner>, sight: Sight, from: Partial<Owner> = {}) =>
      isDead(new Owner({ ...self, ...from }), new Owner({ ...self, process: "20-200", ...owner }), () => sight)

    assert.isTrue(dead({}, gone()))
    assert.isFalse(dead({}, "Unknown"))
    assert.isFalse(dead({}, { started: "200", ended: false }))
    assert.isTrue(dead({}, { started: "200", ended: true }))
    assert.isTrue(dead({}, { started: "201", ended: false }))
    assert.isFalse(dead({ process: "20-" }, { started: "201", ended: false }))
    assert.isFalse(dead({ machine: "other" }, gone()))
    assert.isFalse(dead({ machine: "other", boot: "other" }, gone()))
    assert.isFalse(dead({ boot: "other" }, gone()))
    assert.isFalse(dead({ boot: "" }, gone()))
    assert.isFalse(dead({}, gone(), { boot: "" }))
    assert.isFalse(dead({ machine: "" }, gone(), { machine: "" }))
    for (const process of ["", "-", "0-1", "x-1", "20", "-20-1"]) assert.isFalse(dead({ process }, gone()), process)
  })

  it("reads what the kernel says of a process, whatever its name", () => {
    const line = (name: string, state: string, threads: number) =>
      `7 (${name}) ${state} 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 ${threads} 0 754678 3366912 446`
    assert.deepStrictEqual(parseStat(line("node", "S", 11)), { started: "754678", ended: false })
    assert.deepStrictEqual(parseStat(line("a) Z (b", "T", 1)), { started: "754678", ended: false })
    assert.deepStrictEqual(parseStat(line("node", "Z", 1)), { started: "754678", ended: true })
    // The first thread has ended, another is still at work.
    assert.deepStrictEqual(parseStat(line("node", "Z", 2)), { started: "754678", ended: false })
    assert.strictEqual(parseStat(""), "Unknown")
  })

  it.live(
    "does not judge from another process namespace",
    live(({ self }) =>
      Effect.gen(function*() {
        const script = `
          import * as Node from "@fanout/core/node"
          import { Owner, OwnerLiveness } from "@fanout/core/OwnerLiveness"
          import * as Effect from "effect/Effect"
          const owner = new Owner(JSON.parse(process.argv[1]))
          const dead = Effect.flatMap(OwnerLiveness, ({ isDead }) => isDead(owner))
          console.log(await Effect.runPromise(Effect.provide(dead, Node.layerOwnerLiveness)))`
        const ask = (prefix: ReadonlyArray<string>, owner: Owner) => {
          const options = ["--conditions=@fanout/source", "--input-type=module", "--eval", script]
          const args = [...prefix, process.execPath, ...options, JSON.stringify(owner)]
          return spawnSync("env", args, { encoding: "utf8", cwd: import.meta.dirname }).stdout.trim()
        }
        const gone = new Owner({ ...self, process: "4000000-1" })
        assert.strictEqual(ask([], gone), "true")
        // Without the right to make a namespace nothing is asked, and nothing answered.
        const answer = ask(["unshare", "--user", "--pid", "--fork", "--mount-proc"], gone)
        assert.include(["false", ""], answer)
      })
    )
  )
})
