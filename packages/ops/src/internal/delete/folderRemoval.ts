/**
 * Removes folders with the files in them, by handles from the root of the deletion.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Progress from "@fanout/core/Progress"
import type * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Calls, isCode } from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import { removedUnits } from "../../ProgressUnits.ts"
import { mostDeep } from "../files/folderSize.ts"
import { type Remover, removeTree } from "../files/treeRemoval.ts"
import type { DeleteBatch, Folders } from "./deleteTask.ts"
import { descending, type Descent } from "./descent.ts"

type Payload = Task.Payload<typeof DeleteBatch>

/** As many names are removed before that is told. */
const toldEvery = 1024

/** What was told counts from there on, whatever becomes of the task: the next one to try finds only what is left. */
const checkpoint = "told"

/** Removes what it may in one folder after the other, and tells how much is gone. */
class Sweeping {
  private readonly descent: Descent
  private readonly reporter: Progress.Reporter
  private readonly cell: TaskCheckpoint.Cell
  private readonly left: ReadonlySet<string>
  /** Path of the folder that it is in, from the root of all files. */
  private folder = FilePath.empty
  private files = 0
  private folders = 0
  readonly mayGoOn: () => boolean

  constructor(
    descent: Descent,
    { left }: Payload,
    { cell, mayGoOn, reporter }: {
      readonly reporter: Progress.Reporter
      readonly cell: TaskCheckpoint.Cell
      readonly mayGoOn: () => boolean
    }
  ) {
    this.descent = descent
    this.left = new Set(left)
    this.reporter = reporter
    this.cell = cell
    this.mayGoOn = mayGoOn
  }

  begin(name: FilePath.FilePath, identity: Files.Identity): boolean {
    this.folder = FilePath.join(this.descent.folder?.path ?? FilePath.empty, name)
    return this.descent.mayEnter(identity)
  }

  isLeft(name: FilePath.FilePath): boolean {
    return this.left.size > 0 && this.left.has(FilePath.join(this.folder, name))
  }

  /** What removes folders, as long as it is in time. */
  remover(calls: Calls, isInTime: () => boolean): Remover {
    return {
      mayGoOn: () => this.mayGoOn() && isInTime(),
      begin: (path, folder) => {
        const identity = calls.identity(folder).now()
        return !isCode(identity) && this.begin(path, identity)
      },
      isLeft: (name) => this.isLeft(name),
      removedName: () => {
        if (++this.files === toldEvery) this.tell()
      },
      removedFolder: () => this.removedFolders(1)
    }
  }

  removedFolders(count: number): void {
    this.folders += count
  }

  tell(): void {
    if (this.files + this.folders === 0) return
    if (this.files > 0) this.reporter.addUnsafe(removedUnits.files, this.files)
    if (this.folders > 0) this.reporter.addUnsafe(removedUnits.folders, this.folders)
    this.cell.saveUnsafe(checkpoint)
    this.files = 0
    this.folders = 0
  }
}

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
      return names.slice(before).findIndex((name) => !removeTree(calls, parent, name, remover, areWhole ? mostDeep : 0))
    })
    if (Option.isNone(swept) || swept.value < 0) return names.length
    count += swept.value
  }
  return count
})

/** Sweeps folders of one folder, and gives how many it has dealt with. */
const sweep = (
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
    Effect.catchTags({
      DeleteFailed: () => Effect.as(descent.close, group.names.length),
      FilesError: () => Effect.as(descent.close, group.names.length)
    })
  )

const sweepAll = (payload: Payload, isWanted: () => boolean) =>
  Effect.fnUntraced(function*(descent: Descent) {
    const stop = yield* Interrupter.Interrupter
    const sweeping = new Sweeping(descent, payload, {
      reporter: yield* Progress.Reporter,
      cell: yield* TaskCheckpoint.Cell,
      mayGoOn: () => stop.reason === undefined && isWanted()
    })
    const { folders } = payload
    const own = pathsOf(folders)
    for (const [index, group] of folders.entries()) {
      const { names, path } = group
      const count = yield* sweep(descent, sweeping, group, !own.has(path))
      if (count < names.length) return { rest: [{ ...group, names: names.slice(count) }, ...folders.slice(index + 1)] }
    }
    sweeping.tell()
    return { rest: [] }
  })

/** Removes them here, for as long as that is wanted, and gives what it has not come to. */
export const remove = (
  payload: Payload,
  isWanted: () => boolean = () => true
): Effect.Effect<Task.Success<typeof DeleteBatch>, Interrupter.Interrupted, Files.Files> =>
  Effect.andThen(Interrupter.check, descending(payload, sweepAll(payload, isWanted))).pipe(
    Effect.map(({ rest }) => ({ _tag: "Batch", rest }))
  )
