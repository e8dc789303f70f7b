import { assert, describe, it } from "@effect/vitest"
import type { JobId } from "@fanout/core/JobId"
import * as JobManager from "@fanout/core/JobManager"
import * as Outcome from "@fanout/core/Outcome"
import { layer } from "@fanout/core/testing"
import * as Delete from "@fanout/ops/Delete"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Trash from "@fanout/ops/Trash"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import { setTimeout } from "node:timers/promises"
import { isLong } from "../../../test/effort.ts"
import * as DeleteBatchLive from "../src/internal/delete/deleteBatchLive.ts"
import * as DeleteOneLive from "../src/internal/delete/deleteOneLive.ts"
import { testFolder } from "./TestFolder.ts"

const isRoot = process.getuid?.() === 0
const noTrash = Layer.succeed(Trash.Trash, { trash: () => Effect.die(new Error("There is no trash here")) })

/** Every way in which files are called. */
const ways = { layer: SystemFiles.layer, blocking: SystemFiles.layerBlocking, node: SystemFiles.layerNode }
type Way = keyof typeof ways | "quick"

/** All is done by the owner of the job, where that is quick. */
const nobody = {
  layer: Layer.provide(DeleteBatchLive.layer, Layer.effect(Files.Files, Effect.fail("there are none" as const))),
  count: 1
}

const runtime = (way: Way) => {
  const files = way === "quick" ? SystemFiles.layer : ways[way]
  const batches = (payload: Delete.Payload) =>
    way === "quick" ? DeleteBatchLive.layerShared({ beside: nobody, alone: nobody }, payload) : DeleteBatchLive.layer
  const program = Delete.job.toLayer((payload) => Effect.provide(Delete.program(payload), batches(payload))).pipe(
    Layer.provide(DeleteOneLive.layer),
    Layer.provide([noTrash, ...way === "quick" ? [SystemFiles.layerQuick] : []] as const),
    Layer.provide(files)
  )
  return Layer.merge(layer({ jobs: [Delete.job] }).pipe(Layer.provide(program)), files)
}

const request = (paths: ReadonlyArray<string>, oneFileSystem = true): Delete.Request => {
  const [first = FilePath.empty, ...others] = paths.map(FilePath.make)
  return { paths: [first, ...others], trash: false, oneFileSystem }
}

const failures = Effect.fnUntraced(function*(id: JobId) {
  const manager = yield* JobManager.JobManager
  const rows = yield* Stream.runCollect(manager.outcomes(id, ["Failed"]))
  return rows.map(({ key, outcome }) => [
    key,
    outcome._tag === "Failed" ? Outcome.message(outcome.failure) : outcome._tag
  ])
})

/** Deletes, and tells what failed; or that the job did. */
const remove = Effect.fnUntraced(function*(...args: Parameters<typeof request>) {
  const manager = yield* JobManager.JobManager
  const job = yield* manager.start(Delete.job, yield* Delete.plan(request(...args)))
  const exit = yield* Effect.exit(job.await)
  return { id: job.id, isDone: Exit.isSuccess(exit), failed: yield* failures(job.id) }
})

const names = Array.from({ length: 40 }, (_, i) => `file-${i}`)

const fill = (folder: string): void => {
  fs.mkdirSync(folder, { recursive: true })
  for (const name of names) fs.writeFileSync(path.join(folder, name), "")
}

/** Has a child process exchange two names, until the scope ends. */
const swapping = (first: string, second: string, ready: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const child = spawn(process.execPath, [path.join(import.meta.dirname, "swapChild.ts"), first, second, ready], {
        stdio: "inherit"
      })
      while (!fs.existsSync(ready)) await setTimeout(2)
      return child
    }),
    (child) =>
      Effect.promise(async () => {
        child.kill("SIGKILL")
        if (child.exitCode === null && child.signalCode === null) await once(child, "exit")
      })
  )

const rounds = isLong ? 10 : 3

describe("Delete", () => {
  it.live.each(["layer", "blocking", "node", "quick"] as const)(
    `removes nothing outside while a folder is swapped for a link, ${rounds} times (%s)`,
    (way) =>
      Effect.gen(function*() {
        const place = yield* testFolder
        const [root, outside] = [path.join(place, "root"), path.join(place, "outside")]
        fill(outside)
        fill(path.join(outside, "inner"))
        let swaps = 0
        for (let round = 0; round < rounds; round++) {
          fill(path.join(root, "a"))
          fill(path.join(root, "victim"))
          fill(path.join(root, "victim/inner"))
          fill(path.join(root, "z"))
          fs.symlinkSync(outside, path.join(root, "link"))
          yield* Effect.scoped(Effect.gen(function*() {
            yield* swapping(path.join(root, "victim"), path.join(root, "link"), path.join(place, `ready-${round}`))
            const { failed, isDone } = yield* remove([root])
            if (!isDone || failed.length > 0) swaps++
          }))
          assert.deepStrictEqual(fs.readdirSync(outside).toSorted(), [...names, "inner"].toSorted())
          assert.deepStrictEqual(fs.readdirSync(path.join(outside, "inner")).toSorted(), names.toSorted())
          if (fs.existsSync(root)) assert.deepStrictEqual((yield* remove([root])).failed, [])
          assert.isFalse(fs.existsSync(root))
        }
        return swaps
      }).pipe(Effect.provide(runtime(way)))
  )

  it.live("removes nothing where the folder that a root is in is swapped for a link", () =>
    Effect.gen(function*() {
      const place = yield* testFolder
      const [around, outside] = [path.join(place, "around"), path.join(place, "outside")]
      fill(path.join(outside, "root"))
      fill(path.join(around, "root"))
      fs.symlinkSync(outside, path.join(place, "link"))
      const manager = yield* JobManager.JobManager
      const payload = yield* Delete.plan(request([path.join(around, "root")]))
      fs.renameSync(around, path.join(place, "moved"))
      fs.renameSync(path.join(place, "link"), around)

      const job = yield* manager.start(Delete.job, payload)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(job.await)))

      assert.lengthOf(fs.readdirSync(path.join(outside, "root")), names.length)
      assert.lengthOf(fs.readdirSync(path.join(place, "moved/root")), names.length)
    }).pipe(Effect.provide(runtime("layer"))))

  it.live.each(["layer", "blocking", "node"] as const)(
    "removes no file that got the inode of the one that was named (%s)",
    (way) =>
      Effect.gen(function*() {
        const file = path.join(yield* testFolder, "file")
        fs.writeFileSync(file, "")
        const manager = yield* JobManager.JobManager
        const payload = yield* Delete.plan(request([file]))
        // ext4 gives it at once. Its clock goes by steps of some milliseconds.
        yield* Effect.promise(() => setTimeout(20))
        fs.unlinkSync(file)
        fs.writeFileSync(file, "")

        const job = yield* manager.start(Delete.job, payload)
        assert.isTrue(Exit.isFailure(yield* Effect.exit(job.await)))

        assert.isTrue(fs.existsSync(file))
      }).pipe(Effect.provide(runtime(way)))
  )

  it.live.each(["layer", "node", "quick"] as const)(
    "removes what is deeper than a path can say (%s)",
    (way) =>
      Effect.gen(function*() {
        const place = yield* testFolder
        const root = path.join(place, "root")
        const script = "const fs = require('node:fs')\n" +
          "for (const name of ['root', ...Array(60).fill('n'.repeat(200))]) {\n" +
          "  fs.mkdirSync(name); process.chdir(name); fs.writeFileSync('file', '')\n}"
        execFileSync(process.execPath, ["-e", script], { cwd: place })

        assert.deepStrictEqual((yield* remove([root])).failed, [])

        assert.isFalse(fs.existsSync(root))
      }).pipe(Effect.provide(runtime(way)))
  )

  it.live("removes any name there can be, and links, FIFOs and sockets themselves", () =>
    Effect.gen(function*() {
      const place = yield* testFolder
      const root = path.join(place, "root")
      fs.mkdirSync(path.join(root, "-rf"), { recursive: true })
      fill(path.join(place, "outside"))
      for (const latin1 of ["\n", "\xff\xfe", "caf\xc3\xa9", " ", "*", "\\", "x".repeat(255), "-", "~"]) {
        const name = Buffer.from(`/${latin1}`, "latin1")
        for (const folder of [root, `${root}/-rf`]) fs.writeFileSync(Buffer.concat([Buffer.from(folder), name]), "")
      }
      fs.mkdirSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xfd])]))
      fs.symlinkSync("../outside", path.join(root, "link"))
      fs.symlinkSync("nowhere", path.join(root, "broken"))
      execFileSync("mkfifo", [path.join(root, "fifo")])

      assert.deepStrictEqual((yield* remove([root])).failed, [])

      assert.deepStrictEqual(fs.readdirSync(place), ["outside"])
      assert.lengthOf(fs.readdirSync(path.join(place, "outside")), names.length)
    }).pipe(Effect.provide(runtime("quick"))))

  it.live("names what can't be removed, does the rest, and removes it once it can", (context) =>
    Effect.gen(function*() {
      const place = yield* testFolder
      const root = path.join(place, "root")
      fill(path.join(root, "a/b"))
      const stuck = path.join(root, "a/b/file-7")
      if (!isRoot || spawnSync("chattr", ["+i", stuck]).status !== 0) return context.skip("needs chattr +i")
      const manager = yield* JobManager.JobManager
      try {
        const { failed, id } = yield* remove([root])
        assert.deepStrictEqual(failed, [
          [stuck, `Could not remove "${stuck}": the operation is not permitted (EPERM)`]
        ])
        assert.deepStrictEqual(fs.readdirSync(path.join(root, "a/b")), ["file-7"])
        spawnSync("chattr", ["-i", stuck])
        yield* manager.retry(id)
        const job = yield* manager.attach(Delete.job, id)
        yield* job.await
        assert.deepStrictEqual(yield* failures(id), [])
        assert.isFalse(fs.existsSync(root))
      } finally {
        spawnSync("chattr", ["-i", stuck])
      }
    }).pipe(Effect.provide(runtime("quick"))))

  it.live.each([["--bind", "bind"], ["-t", "tmpfs"]] as const)(
    "leaves what is mounted in there (%s %s)",
    ([, kind], context) =>
      Effect.gen(function*() {
        const place = yield* testFolder
        const [root, outside] = [path.join(place, "root"), path.join(place, "outside")]
        const mounted = path.join(root, "a/mounted")
        fill(outside)
        fill(path.join(root, "a"))
        fs.mkdirSync(mounted)
        const args = kind === "bind" ? ["--bind", outside, mounted] : ["-t", "tmpfs", "none", mounted]
        if (spawnSync("mount", args).status !== 0) return context.skip("needs the right to mount")
        try {
          if (kind === "tmpfs") fill(path.join(mounted, "inner"))
          for (const way of ["layer", "node", "quick"] as const) {
            const { failed } = yield* Effect.provide(remove([root]), runtime(way))
            assert.deepStrictEqual(failed.map(([key]) => key), [mounted])
            assert.match(failed[0]?.[1] ?? "", /is on another file system and was left/)
            assert.deepStrictEqual(fs.readdirSync(path.join(root, "a")), ["mounted"])
          }
          if (kind === "tmpfs") {
            assert.lengthOf(fs.readdirSync(path.join(mounted, "inner")), names.length)
            const { failed } = yield* Effect.provide(remove([root], false), runtime("quick"))
            assert.deepStrictEqual(failed, [[
              mounted,
              `Could not remove "${mounted}": it is in use (EBUSY)`
            ]])
            assert.deepStrictEqual(fs.readdirSync(mounted), [])
          }
        } finally {
          spawnSync("umount", [mounted])
        }
        assert.lengthOf(fs.readdirSync(outside), names.length)
        assert.deepStrictEqual((yield* Effect.provide(remove([root]), runtime("quick"))).failed, [])
      })
  )

  it.live.each(["layer", "blocking", "node", "quick"] as const)(
    "removes a tree on an overlay, and tells its root from others after the first change (%s)",
    (way, context) =>
      Effect.gen(function*() {
        const place = yield* testFolder
        const [lower, upper, work, mounted] = ["lower", "upper", "work", "mounted"].map((name) =>
          path.join(place, name)
        )
        for (const folder of [upper, work, mounted]) fs.mkdirSync(folder ?? "")
        fill(path.join(lower ?? "", "root/a"))
        fill(path.join(lower ?? "", "root"))
        // Times of birth go by steps of some milliseconds.
        yield* Effect.promise(() => setTimeout(20))
        const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`
        if (spawnSync("mount", ["-t", "overlay", "overlay", "-o", options, mounted ?? ""]).status !== 0) {
          return context.skip("needs the right to mount")
        }
        try {
          const root = path.join(mounted ?? "", "root")
          const { failed, isDone } = yield* remove([root])
          assert.deepStrictEqual([isDone, failed], [true, []])
          assert.isFalse(fs.existsSync(root))
        } finally {
          spawnSync("umount", [mounted ?? ""])
        }
      }).pipe(Effect.provide(runtime(way)))
  )

  it.live("refuses the root of all files by another name", (context) =>
    Effect.gen(function*() {
      const place = yield* testFolder
      const mounted = path.join(place, "mounted")
      fs.mkdirSync(mounted)
      if (spawnSync("mount", ["--bind", "/", mounted]).status !== 0) return context.skip("needs the right to mount")
      try {
        const error = yield* Effect.flip(Delete.plan(request([mounted])))
        assert.strictEqual(error.reason._tag, "IsRoot")
      } finally {
        spawnSync("umount", [mounted])
      }
    }).pipe(Effect.provide(runtime("layer"))))
})
