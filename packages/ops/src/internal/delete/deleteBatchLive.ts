/**
 * Handler of the task `DeleteBatch`: removes folders with the files in them, by handles from the root of the deletion.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Progress from "@fanout/core/Progress"
import type * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { type Calls, isCode } from "../../Calls.ts"
import type { Payload } from "../../Delete.ts"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import { removedUnits } from "../../ProgressUnits.ts"
import { mostDeep } from "../files/folderSize.ts"
import { QuickFiles, type Sides, type Where } from "../files/quickFiles.ts"
import { now } from "../files/routine.ts"
import { type Remover, removeTree } from "../files/treeRemoval.ts"
import { leftOut } from "../steps/folderFilter.ts"
import { share } from "../work/sharedWork.ts"
import { quickFiles } from "./deleteElements.ts"
import { DeleteBatch, type Folders, ThreadTasks } from "./deleteTask.ts"
import { descending, type Descent } from "./descent.ts"

type Batch = Task.Payload<typeof DeleteBatch>

/** As many names are removed before that is told. */
const toldEvery = 1024

/** What was told counts from there on, whatever becomes of the task: the next one to try finds only what is left. */
const checkpoint = "told"

/** Removes what it may in one folder after the other, and tells how much is gone. */
const sweeping = (
  descent: Descent,
  { left, root, rules = [] }: Batch,
  { cell, mayGoOn, reporter }: {
    readonly reporter: Progress.Reporter
    readonly cell: TaskCheckpoint.Cell
    readonly mayGoOn: () => boolean
  }
) => {
  const kept: ReadonlySet<string> = new Set(left)
  const isExcluded = leftOut(rules, FilePath.empty)
  const below = root.path.length + 1
  let [files, folders] = [0, 0]
  /** Path of the folder that it is in, from the root of all files. */
  let path = FilePath.empty
  const tell = (): void => {
    if (files + folders === 0) return
    if (files > 0) reporter.addUnsafe(removedUnits.files, files)
    if (folders > 0) reporter.addUnsafe(removedUnits.folders, folders)
    cell.saveUnsafe(checkpoint)
    files = 0
    folders = 0
  }
  const removedFolders = (count: number): void => {
    folders += count
  }
  /** What removes folders, as long as it is in time. */
  const remover = (calls: Calls, isInTime: () => boolean): Remover => ({
    mayGoOn: () => mayGoOn() && isInTime(),
    *begin(name, folder) {
      const identity = yield* calls.identity(folder)
      if (isCode(identity)) return false
      path = FilePath.join(descent.folder?.path ?? FilePath.empty, name)
      return descent.mayEnter(identity)
    },
    *isLeft(name) {
      if (kept.size + rules.length === 0) return false
      const file = FilePath.join(path, name)
      return kept.has(file) || (rules.length > 0 && isExcluded(FilePath.make(file.slice(below)), false))
    },
    removedName: () => {
      if (++files === toldEvery) tell()
    },
    removedFolder: () => removedFolders(1)
  })
  return { mayGoOn, remover, removedFolders, tell }
}

type Sweeping = ReturnType<typeof sweeping>

/** Paths of folders under the root. */
const pathsOf = (folders: Folders): ReadonlySet<string | null> =>
  new Set(
    folders.flatMap(({ names, path }) =>
      path === null ? FilePath.empty : names.map((name) => FilePath.join(path, name))
    )
  )

/** Removes folders of one folder, and gives how many were dealt with. Where calls are not made at once all are left. */
const sweepEach = Effect.fnUntraced(function*(
  folder: Files.Folder,
  { areWhole = false, names }: Folders[number],
  sweeping: Sweeping
) {
  let count = 0
  while (count < names.length && sweeping.mayGoOn()) {
    const before = count
    const swept = yield* folder.atOnce((calls, parent, isInTime) => {
      const remover = sweeping.remover(calls, isInTime)
      return names.slice(before).findIndex((name) =>
        !now(removeTree, calls, parent, name, remover, areWhole ? mostDeep : 0)
      )
    })
    if (Option.isNone(swept) || swept.value < 0) return names.length
    count += swept.value
  }
  return count
})

/** Sweeps folders of one folder, and gives how many it has dealt with. */
const sweepGroup = (
  descent: Descent,
  sweeping: Sweeping,
  group: Folders[number],
  isLast: boolean
): Effect.Effect<number, never, Files.Files> =>
  Effect.gen(function*() {
    yield* descent.goTo(group.path)
    const { folder } = descent
    const count = folder === undefined ? group.names.length : yield* sweepEach(folder, group, sweeping)
    sweeping.tell()
    if (isLast && count === group.names.length) sweeping.removedFolders((yield* descent.climb).removed)
    return count
  }).pipe(
    // What is left is met again, one by one, and then it is said why.
    Effect.catch(() => Effect.as(descent.close, group.names.length))
  )

const sweepAll = (payload: Batch, isWanted: () => boolean) =>
  Effect.fnUntraced(function*(descent: Descent) {
    const stop = yield* Interrupter.Interrupter
    const sweep = sweeping(descent, payload, {
      reporter: yield* Progress.Reporter,
      cell: yield* TaskCheckpoint.Cell,
      mayGoOn: () => stop.reason === undefined && isWanted()
    })
    const { folders } = payload
    const own = pathsOf(folders)
    for (const [index, group] of folders.entries()) {
      const { names, path } = group
      const count = yield* sweepGroup(descent, sweep, group, !own.has(path))
      if (count < names.length) return [{ ...group, names: names.slice(count) }, ...folders.slice(index + 1)]
    }
    sweep.tell()
    return []
  })

/** Removes them here, for as long as that is wanted, and gives what it has not come to. */
export const remove = (
  payload: Batch,
  isWanted: () => boolean = () => true
): Effect.Effect<Task.Success<typeof DeleteBatch>, Interrupter.Interrupted, Files.Files> =>
  Effect.andThen(Interrupter.check, descending(payload, sweepAll(payload, isWanted))).pipe(
    Effect.map((rest) => ({ _tag: "Batch", rest }))
  )

/** Layer that removes everything here. */
export const layer: Layer.Layer<Task.Handler<typeof DeleteBatch>, never, Files.Files> = ThreadTasks.toLayer({
  [DeleteBatch._tag]: (payload) => remove(payload)
})

/**
 * Layer that removes the first names here, where that is quick, and has others remove the rest. They are started only
 * when there is something for them.
 */
export const layerShared = <E>(
  others: Sides<typeof DeleteBatch, E>,
  payload: Payload,
  /** After so many times 64 names others are asked, or 0.7 ms more: what 30,000 are by default. */
  { startsAfter = 30_000 / 64 }: Pick<Where, "startsAfter"> = {}
): Layer.Layer<Task.Handler<typeof DeleteBatch>, never, Files.Files> =>
  ThreadTasks.toLayer(Effect.gen(function*() {
    const { isSlow } = yield* QuickFiles
    const shared = yield* share(DeleteBatch, others, { quick: yield* quickFiles(payload), startsAfter })
    return {
      [DeleteBatch._tag]: (payload) =>
        shared({
          key: payload,
          payload,
          files: payload.size,
          work: (isQuick) => remove(payload, () => !isQuick || !isSlow())
        })
    }
  }))
