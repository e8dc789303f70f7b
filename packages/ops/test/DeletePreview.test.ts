import { assert, describe, it } from "@effect/vitest"
import * as DeletePreview from "@fanout/ops/DeletePreview"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Options, plan, runtime } from "./deleteHarness.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const plant = (): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  for (const folder of ["/in", "/in/a", "/in/b", "/in/mounted", "/in/state"]) disk.folder(folder)
  disk.file("/in/a/file", "text")
  disk.symlink("/in/a/link", "/in")
  disk.special("/in/b/pipe")
  disk.file("/in/state/jobs.db", "text")
  return disk
}

const preview = (disk: MemoryFiles.Disk, options: Options = {}) =>
  Effect.flatMap(plan(options), (payload) => Stream.runCollect(DeletePreview.entries(payload))).pipe(
    Effect.map((entries) => entries.map(({ action, kind, path, why }) => [action, kind, path, why].join(" ").trim())),
    Effect.provide(runtime(disk, options.before))
  )

describe("DeletePreview", () => {
  it.effect("tells everything in the order in which it would go, and does nothing", () =>
    Effect.gen(function*() {
      const disk = plant()
      const before = disk.tree("/")
      assert.deepStrictEqual(yield* preview(disk), [
        "Delete file /in/a/file",
        "Delete link /in/a/link",
        "Delete folder /in/a",
        "Delete special /in/b/pipe",
        "Delete folder /in/b",
        "Delete folder /in/mounted",
        "Delete file /in/state/jobs.db",
        "Delete folder /in/state",
        "Delete folder /in"
      ])
      assert.deepStrictEqual(disk.tree("/"), before)
    }))

  it.effect("tells what would stay, and with it what that is in", () =>
    Effect.gen(function*() {
      const disk = plant()
      disk.mount("/in/mounted")
      disk.file("/in/mounted/file", "text")
      const before = FaultyFiles.failing("EACCES", (call, path) => call === "scandir" && path === "/in/b")
      const options = { before, leaveOut: ["/in/state/jobs.db"], paths: ["/in", "/gone"] } as const
      assert.deepStrictEqual(yield* preview(disk, options), [
        "Fail unknown /gone Could not look at \"/gone\": it does not exist (ENOENT)",
        "Delete file /in/a/file",
        "Delete link /in/a/link",
        "Delete folder /in/a",
        "Fail unknown /in/b Could not list \"/in/b\": permission denied (EACCES)",
        "Fail unknown /in/mounted \"/in/mounted\" is on another file system and was left: " +
        "unmount that and try again, or delete with --cross-mounts",
        "Leave file /in/state/jobs.db it belongs to the database of this job",
        "Leave folder /in/state something in it stays",
        "Leave folder /in something in it stays"
      ])
    }))

  it.effect("tells what is excluded once, and nothing of what is in it", () =>
    Effect.gen(function*() {
      const disk = plant()
      assert.deepStrictEqual(yield* preview(disk, { rules: ["/a/", "jobs.db"] }), [
        "Leave folder /in/a it is excluded",
        "Delete special /in/b/pipe",
        "Delete folder /in/b",
        "Delete folder /in/mounted",
        "Leave file /in/state/jobs.db it is excluded",
        "Leave folder /in/state something in it stays",
        "Leave folder /in something in it stays"
      ])
    }))

  it.effect("tells of the trash only what was named", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* preview(plant(), { paths: ["/in", "/gone"], trash: true }), [
        "Trash folder /in",
        "Fail unknown /gone Could not look at \"/gone\": it does not exist (ENOENT)"
      ])
    }))
})
