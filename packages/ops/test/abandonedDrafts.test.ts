import { assert, describe, it } from "@effect/vitest"
import * as JobId from "@fanout/core/JobId"
import type * as Copy from "@fanout/ops/Copy"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Effect from "effect/Effect"
import { removeAll } from "../src/internal/copy/abandonedDrafts.ts"
import * as TemporaryName from "../src/internal/path/temporaryName.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const job = JobId.make("cancelled")

/** A source with one folder, and a target with that and many others, each with what a job has left, or could have. */
const plant = () => {
  const disk = new MemoryFiles.Disk()
  for (const folder of ["/from", "/from/a", "/to", "/to/a", "/to/a/other"]) disk.folder(folder)
  for (const file of ["/from/file", "/from/a/file"]) disk.file(file, "text")
  for (let n = 0; n < 20; n++) disk.folder(`/to/other ${n}`)
  for (const folder of ["/", "/to", "/to/a"]) leave(disk, folder)
  return disk
}

const leave = (disk: MemoryFiles.Disk, folder: string): void => {
  disk.file(`${folder}/${TemporaryName.make(job, 1, FilePath.make(`${folder}/x`))}`, "half")
}

/** Cancels a copy of `/from` to `/to`, and tells which folders were opened, and what is left there. */
const cancel = (disk: MemoryFiles.Disk, request: Partial<Copy.Request> = {}, spared: ReadonlyArray<string> = []) => {
  const opened = new Set<string>()
  const files = FaultyFiles.intercept(
    MemoryFiles.make(disk),
    (call, path) => Effect.sync(() => call === "open" || call === "scandir" ? opened.add(path) : undefined)
  )
  const [source, target] = [FilePath.make("/from"), FilePath.make("/to")]
  return removeAll(
    {
      request: { sources: [source], destination: target, noTargetDirectory: true, conflict: "changed", ...request },
      transfers: [{ source, target }],
      leaveOut: []
    },
    job,
    spared.map((path) => FilePath.make(path))
  ).pipe(
    Effect.provideService(Files.Files, files),
    Effect.map(() => ({
      opened: Array.from(opened).filter((path) => path.startsWith("/to")).toSorted(),
      left: Object.keys(disk.tree("/")).filter((path) => path.includes(".fanout-"))
    }))
  )
}

describe("what a cancelled copy has left", () => {
  it.effect("is removed, and looked for in copies of folders alone", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* cancel(plant()), { opened: ["/to", "/to/a"], left: [] })
    }))

  it.effect.each<readonly [string, (disk: MemoryFiles.Disk) => void, Partial<Copy.Request>, ReadonlyArray<string>]>([
    ["a source is gone", (disk) => disk.remove("/from"), {}, []],
    [
      "a disk may have been on it",
      (disk) => {
        for (const path of ["/from/a/file", "/from/a", "/from/file"]) disk.remove(path)
      },
      {},
      []
    ],
    ["links were followed", () => {}, { dereference: true }, []],
    ["sources are removed as they are copied", () => {}, {}, ["/from"]]
  ])("is looked for everywhere but on other mounts where %s", ([, change, request, spared]) =>
    Effect.gen(function*() {
      const disk = plant()
      leave(disk, "/to/other 3")
      disk.mount("/to/other 7")
      leave(disk, "/to/other 7")
      change(disk)
      const { left, opened } = yield* cancel(disk, request, spared)
      assert.lengthOf(left, 1)
      assert.include(left[0], "to/other 7/")
      assert.lengthOf(opened, 23)
    }))
})
