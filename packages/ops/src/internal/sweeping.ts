/**
 * Removes folders with the files in them, by handles from the root of the deletion.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Progress from "@fanout/core/Progress"
import type * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { units } from "../DeleteUnits.ts"
import * as FilePath from "../FilePath.ts"
import type * as Files from "../Files.ts"
import { mostDeep } from "./calls/measure.ts"
import type { DeleteBatch, Folders } from "./deleteTask.ts"
import { descending, type Descent } from "./descent.ts"

type Payload = Task.Payload<typeof DeleteBatch>

/** As many names are removed before that is told. */
const toldEvery = 1024

/** What was told counts from there on, whatever becomes of the task: the next one to try finds only what is left. */
const checkpoint = "told"

/** Removes what it may in one folder after the other, and tells how much is gone. */
class Sweeping implements Files.Sweeper {
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

  /** The same for a folder that is deeper than the names that were gathered. */
  at(path: FilePath.FilePath): Files.Sweeper {
    return {
      mayGoOn: this.mayGoOn,
      begin: (_, identity) => this.begin(path, identity),
      isLeft: (name) => this.isLeft(name),
      removedName: () => this.removedName(),
      removedFolder: () => this.removedFolder()
    }
  }

  isLeft(name: FilePath.FilePath): boolean {
    return this.left.size > 0 && this.left.has(FilePath.join(this.folder, name))
  }

  removedName(): void {
    if (++this.files === toldEvery) this.tell()
  }

  removedFolder(): void {
    this.removedFolders(1)
  }

  removedFolders(count: number): void {
    this.folders += count
  }

  tell(): void {
    if (this.files + this.folders === 0) return
    if (this.files > 0) this.reporter.addUnsafe(units.files, this.files)
    if (this.folders > 0) this.reporter.addUnsafe(units.folders, this.folders)
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

/** Removes a folder with all that is below it in steps: calls are not made at once, or it has become large. */
const sweepSlowly = (
  folder: Files.Folder,
  name: FilePath.FilePath,
  path: FilePath.FilePath,
  sweeping: Sweeping,
  depth = 1
): Effect.Effect<boolean> =>
  Effect.gen(function*() {
    const inner = yield* folder.folder(name)
    if (depth === mostDeep || !sweeping.begin(path, yield* inner.identity)) return true
    const listing = yield* inner.list
    for (let i = 0; i < listing.size; i++) {
      const below = listing.nameAt(i)
      if (listing.kindAt(i) !== "folder") continue
      if (!(yield* sweepSlowly(inner, below, FilePath.join(path, below), sweeping, depth + 1))) return false
    }
    return true
  }).pipe(
    Effect.scoped,
    // What can't be entered may be empty all the same.
    Effect.orElseSucceed(() => true),
    Effect.flatMap((isThrough) =>
      isThrough
        ? Effect.map(folder.sweepEach([name], sweeping.at(path)), (count) => count === 1)
        : Effect.succeed(false)
    )
  )

/** Removes folders of one folder with all that is below them, and gives how many it has dealt with. */
const sweepTrees = Effect.fnUntraced(function*(
  folder: Files.Folder,
  names: ReadonlyArray<FilePath.FilePath>,
  sweeping: Sweeping
) {
  for (const [index, name] of names.entries()) {
    const swept = yield* folder.sweepTree(name, sweeping)
    const isThrough = Option.isSome(swept) ? swept.value : yield* sweepSlowly(folder, name, name, sweeping)
    if (!isThrough) return index
  }
  return names.length
})

/** Sweeps folders of one folder, and gives how many it has dealt with. */
const sweep = (
  descent: Descent,
  sweeping: Sweeping,
  { areWhole = false, names, path }: Folders[number],
  isLast: boolean
): Effect.Effect<number, never, Files.Files> =>
  Effect.gen(function*() {
    yield* descent.goTo(path)
    const { folder } = descent
    const count = folder === undefined
      ? names.length
      : yield* areWhole ? sweepTrees(folder, names, sweeping) : folder.sweepEach(names, sweeping)
    sweeping.tell()
    if (isLast && count === names.length) sweeping.removedFolders((yield* descent.climb).removed)
    return count
  }).pipe(
    // What is left is met again, one by one, and then it is said why.
    Effect.catchTags({
      DeleteFailed: () => Effect.as(descent.close, names.length),
      FilesError: () => Effect.as(descent.close, names.length)
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
