import { assert, describe, it } from "@effect/vitest"
import * as JobManager from "@fanout/core/JobManager"
import { layerOwnerLiveness, layerSqlClient, layerSqlite } from "@fanout/core/node"
import * as Pools from "@fanout/core/Pools"
import * as Copy from "@fanout/ops/Copy"
import * as Delete from "@fanout/ops/Delete"
import * as FileJobs from "@fanout/ops/FileJobs"
import * as FilePath from "@fanout/ops/FilePath"
import * as Hash from "@fanout/ops/Hash"
import * as Move from "@fanout/ops/Move"
import * as Verify from "@fanout/ops/Verify"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import { isBuiltin } from "node:module"
import * as path from "node:path"
import { rolldown } from "rolldown"
import { testFolder } from "./TestFolder.ts"

/** What an application has, by what its pages say. */
const runtime = (filename: string, jobs = FileJobs.layer({ filename })) =>
  JobManager.layer({ jobs: FileJobs.jobs }).pipe(
    Layer.provideMerge(jobs),
    Layer.provide([layerSqlite({ filename }), layerOwnerLiveness, Pools.layer({ io: 8 })])
  )

const request = (source: string, destination: string, more: Partial<Copy.Request> = {}): Copy.Request => ({
  sources: [FilePath.make(source)],
  destination: FilePath.make(destination),
  noTargetDirectory: true,
  conflict: "changed",
  ...more
})

/** More small files than the thread of the job does alone. */
const plant = (root: string): number => {
  for (let i = 0; i < 60; i++) {
    fs.mkdirSync(`${root}/${i}/below`, { recursive: true })
    for (let j = 0; j < 120; j++) fs.writeFileSync(`${root}/${i}/${j % 2 === 0 ? "" : "below/"}${j}`, `${i} ${j}`)
  }
  return 60 * 120
}

/** So many names of one file. */
const plantNames = (root: string, count: number): void => {
  fs.mkdirSync(`${root}/inner`, { recursive: true })
  fs.writeFileSync(`${root}/name-0`, "one file")
  for (let n = 1; n < count; n++) fs.linkSync(`${root}/name-0`, `${root}/${n % 2 === 0 ? "inner/" : ""}name-${n}`)
}

/** How many files there are under all names, and how many names. */
const namesIn = (root: string) => {
  const files = fs.readdirSync(root, { recursive: true, encoding: "utf8" })
    .map((name) => fs.lstatSync(path.join(root, name))).filter((stat) => stat.isFile())
  return { files: new Set(files.map(({ ino }) => ino)).size, names: files.length }
}

const memory = "/dev/shm"
const isElsewhere = (folder: string) => fs.existsSync(memory) && fs.statSync(memory).dev !== fs.statSync(folder).dev

describe("FileJobs", () => {
  it.live("copies, compares, hashes, moves and deletes, with threads once there is much to do", () =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      const filename = `${folder}/jobs.db`
      const [from, to, moved] = [`${folder}/from`, `${folder}/to`, `${folder}/moved`]
      const count = plant(from)
      const started: Array<number> = []
      const jobs = FileJobs.layerWith({
        client: layerSqlClient({ filename }),
        threads: (count) =>
          Layer.unwrap(Effect.sync(() => {
            started.push(count)
            return FileJobs.threads({ filename }, count)
          }))
      })
      yield* Effect.gen(function*() {
        const manager = yield* JobManager.JobManager
        const leaveOut = yield* FileJobs.databaseFiles(filename)
        const copied = yield* (yield* manager.start(Copy.job, yield* Copy.plan(request(from, to), leaveOut))).await
        assert.deepInclude(copied, { failed: 0, skipped: 0 })
        assert.isAtLeast(started.length, 1)

        const [a, b] = [FilePath.make(from), FilePath.make(to)]
        const compared = yield* (yield* manager.start(Verify.job, yield* Verify.plan({ a, b, ignore: [], leaveOut })))
          .await
        assert.deepInclude(compared, { failed: 0, skipped: 0 })

        const payload = yield* Hash.plan({ sources: [b], algorithm: "sha256", cache: true, leaveOut })
        const hashed = yield* (yield* manager.start(Hash.job, payload)).await
        assert.deepInclude(hashed, { done: count, failed: 0 })

        const renamed = yield* (yield* manager.start(Move.job, yield* Copy.plan(request(to, moved), leaveOut))).await
        assert.strictEqual(renamed.failed, 0)
        assert.deepStrictEqual([fs.existsSync(to), namesIn(moved).names], [false, count])

        const gone = { paths: [FilePath.make(moved)], trash: false, oneFileSystem: true } as const
        yield* (yield* manager.start(Delete.job, yield* Delete.plan(gone, leaveOut))).await
        assert.isFalse(fs.existsSync(moved))
      }).pipe(Effect.provide(runtime(filename, jobs)))
    }))

  it.live("keeps one file with 31 names one file where it is copied", () =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      plantNames(`${folder}/from`, 31)
      yield* Effect.gen(function*() {
        const manager = yield* JobManager.JobManager
        const payload = yield* Copy.plan(request(`${folder}/from`, `${folder}/to`, { preserve: ["links"] }))
        assert.strictEqual((yield* (yield* manager.start(Copy.job, payload)).await).failed, 0)
      }).pipe(Effect.provide(runtime(`${folder}/jobs.db`)))
      assert.deepStrictEqual(namesIn(`${folder}/to`), { files: 1, names: 31 })
    }))

  it.live("keeps one file with 31 names one file where it is moved to another file system", () =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      if (!isElsewhere(folder)) return
      const there = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(`${memory}/fanout-ops-`)),
        (there) => Effect.sync(() => fs.rmSync(there, { recursive: true }))
      )
      plantNames(`${folder}/from`, 31)
      yield* Effect.gen(function*() {
        const manager = yield* JobManager.JobManager
        const payload = yield* Copy.plan(request(`${folder}/from`, `${there}/to`))
        assert.strictEqual((yield* (yield* manager.start(Move.job, payload)).await).failed, 0)
      }).pipe(Effect.provide(runtime(`${folder}/jobs.db`)))
      assert.deepStrictEqual(namesIn(`${there}/to`), { files: 1, names: 31 })
      assert.isFalse(fs.existsSync(`${folder}/from`))
    }))

  it.live("reads nothing again that has not changed, where digests are remembered", () =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      fs.writeFileSync(`${folder}/file`, "text")
      yield* Effect.sleep("2100 millis")
      yield* Effect.gen(function*() {
        const manager = yield* JobManager.JobManager
        const sources = [FilePath.make(`${folder}/file`)] as const
        const payload = yield* Hash.plan({ sources, algorithm: "sha256", cache: true, leaveOut: [] })
        const first = yield* (yield* manager.start(Hash.job, payload)).await
        const second = yield* (yield* manager.start(Hash.job, payload)).await
        assert.deepStrictEqual([first.units["bytes"], second.units["cached"]], [4, 1])
      }).pipe(Effect.provide(runtime(`${folder}/jobs.db`)))
    }))

  it.live("names the files of its database, wherever links lead", () =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      fs.mkdirSync(`${folder}/real`)
      fs.symlinkSync("real", `${folder}/link`)
      const filename = `${folder}/link/jobs.db`
      const files = yield* Effect.provide(FileJobs.databaseFiles(filename), runtime(filename))
      assert.includeMembers([...files], fs.readdirSync(`${folder}/real`).map((name) => `${folder}/real/${name}`))
      assert.include(files, `${folder}/real/jobs.db`)
    }))

  it.live("refuses a database in memory, and a module that is not there, before any job", () =>
    Effect.gen(function*() {
      const module = new URL("./nothing.ts", import.meta.url)
      for (
        const [options, why] of [
          [{ filename: ":memory:" }, "need a database that is a file"],
          [{ filename: "jobs.db", module }, "name a module that calls FileThread.run"]
        ] as const
      ) {
        const built = yield* Effect.exit(Layer.build(Layer.provide(FileJobs.layer(options), Pools.layer())))
        assert.include(Exit.isFailure(built) ? Cause.pretty(built.cause) : "", why)
      }
    }))
})

/** What a bundler can't put into a file. */
const native = ["koffi", "@napi-rs/blake-hash", "trash"]

describe("an application that is bundled", () => {
  const bundle = async (name: string, file: string) => {
    const build = await rolldown({
      input: path.join(import.meta.dirname, name),
      external: (id) => isBuiltin(id) || native.includes(id),
      platform: "node",
      resolve: { conditionNames: ["@fanout/source", "import", "node", "default"] },
      checks: { bundlerTimings: false }
    })
    await build.write({ file, codeSplitting: false })
    await build.close()
  }

  it.live("has threads that run the file it names, and is told where there is none", () =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      fs.writeFileSync(`${folder}/file`, "text")
      fs.writeFileSync(`${folder}/sums`, `${createHash("sha256").update("text").digest("hex")}  file\n`)
      for (const name of native) {
        const place = `${folder}/node_modules/${name}`
        fs.mkdirSync(path.dirname(place), { recursive: true })
        fs.symlinkSync(path.resolve(import.meta.dirname, "../../../node_modules", name), place)
      }
      yield* Effect.promise(() => bundle("fileJobsChild.ts", `${folder}/app.mjs`))
      yield* Effect.promise(() => bundle("fileThreadChild.ts", `${folder}/thread.mjs`))
      const start = (...args: ReadonlyArray<string>) =>
        spawnSync(process.execPath, [`${folder}/app.mjs`, `${folder}/sums`, ...args], { encoding: "utf8" })

      const named = start("./thread.mjs")
      assert.deepStrictEqual([named.stdout, named.stderr], ["1 OK, 0 FAILED\n", ""])
      const unnamed = start()
      assert.strictEqual(unnamed.stdout, "")
      assert.include(unnamed.stderr, "name a module that calls FileThread.run")
    }))
})
