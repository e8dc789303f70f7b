/**
 * Copies or moves one unit: fills the draft, flushes and compares it where the job asks for that, commits a checkpoint
 * where a later run has to know, places the copies, and removes the sources of a move.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Lease from "@fanout/core/Lease"
import * as Progress from "@fanout/core/Progress"
import type * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Num from "effect/Number"
import * as Option from "effect/Option"
import * as Struct from "effect/Struct"
import { CopyOptions } from "../../CopyOptions.ts"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import { lostUnits } from "../../ProgressUnits.ts"
import { FolderTimes } from "../move/folderTimes.ts"
import * as MovedSource from "../move/movedSource.ts"
import { renameEach } from "../move/renamedFiles.ts"
import * as Place from "../path/place.ts"
import * as TemporaryName from "../path/temporaryName.ts"
import { type Flush, prepare } from "../steps/durability.ts"
import { temporaryName } from "../steps/filePlacement.ts"
import * as HardLinks from "../steps/linkedCopies.ts"
import * as ReadBack from "../steps/readBack.ts"
import * as SavedCopy from "../steps/savedCopy.ts"
import {
  type Filled,
  nothingDone,
  type Placement,
  type Removed,
  restOf,
  resultOf,
  type Settled,
  type Unit,
  unsettled,
  untouched
} from "../steps/unit.ts"
import type { CopyUnit, EntryCopied } from "./copyTask.ts"

type Payload = Task.Payload<typeof CopyUnit>
type Done = Task.Success<typeof CopyUnit>

/** Performs a step of a unit: in this thread or another one. */
export type Perform<E, R> = (payload: Payload) => Effect.Effect<Done, E, R>

/** Result of a unit. */
export type Copied = Omit<Extract<typeof EntryCopied.Type, { readonly _tag: "Files" }>, "_tag">

const pathOf = ({ name, path }: Pick<Placement, "name" | "path">): FilePath.FilePath => FilePath.join(path, name)

/** Result of a unit without any names. */
const notBegun: Copied = nothingDone({ areFolders: false, names: [] })

/** Result of a unit whose copies may exist already: single copies go on from `made`. */
const leftTo = (unit: Unit, made: ReadonlyArray<FilePath.FilePath>): Copied => ({ ...nothingDone(unit), made })

/** Renames the files of a move where both folders are on the same mount; no rename crosses a mount. */
const renameHere = Effect.fnUntraced(function*(unit: Unit) {
  const files = yield* Files.Files
  const [from, to] = [yield* files.folder(unit.source), yield* files.folder(unit.target)]
  if (!Files.isOnSame(yield* from.identity, yield* to.identity)) return undefined
  // To report checksums each file has to be read. A folder may have another mount below it.
  if (unit.checksums !== undefined || unit.areFolders) return nothingDone(unit)
  const stop = yield* Interrupter.Interrupter
  const lease = yield* Lease.Lease
  const mayWork = () => stop.reason === undefined && lease.isHeldUnsafe()
  const { left, moved } = yield* renameEach({ from, to, names: unit.names, avoid: unit.avoid, mayWork })
  return withLeft(unit, { ...notBegun, moved }, left)
}, Effect.scoped)

/** Placements of hard links whose file was moved before under another name: they become links to that copy. */
const linkedAmong = Effect.fnUntraced(function*({ placements }: Filled, { isMove, keeps }: Unit) {
  const namesOf = ({ copied }: Placement) => copied.editions.flatMap(({ linkedAs }) => linkedAs)
  const known = yield* HardLinks.known(isMove && keeps.includes("links") ? placements.flatMap(namesOf) : [])
  return placements.flatMap((one, index) => namesOf(one).some((name) => known.has(name)) ? [index] : [])
})

/** Adds names to the rest of the unit's own folder, each with its saved checkpoint. */
const withLeft = (
  unit: Unit,
  result: Copied,
  left: ReadonlyArray<{ readonly index: number; readonly saved?: SavedCopy.Saved }>
): Copied => {
  const own = result.rest.find(({ path }) => path === "") ?? restOf(FilePath.empty)
  const names = [...own.names, ...left.map(({ index }) => unit.names[index] ?? FilePath.empty)]
  const saved = left.flatMap(({ saved }, n) => saved === undefined ? [] : [{ index: own.names.length + n, saved }])
  return { ...result, rest: [...result.rest.filter((one) => one !== own), { ...own, names }], saved }
}

/** Reports a unit whose names need no flush, or are flushed. */
const told = Effect.fnUntraced(function*(filled: Filled, settled: Settled) {
  const { lost, result } = resultOf(filled, settled)
  for (const property of Struct.keys(lostUnits)) {
    const copies = lost[property] ?? 0
    if (copies > 0) yield* Progress.add(lostUnits[property], copies)
  }
  if (settled.verified > 0) yield* ReadBack.count(settled.verified)
  yield* Progress.add("bytes", result.bytes)
  return result
})

/** Flushes the names, and unchanged files, too: an earlier run may have copied them and not flushed them. */
const flushNames = ({ earlier, names }: Flush, { unchanged }: Filled) =>
  Effect.flatMap(CopyOptions, ({ isDurable }) => isDurable && unchanged > 0 ? earlier([]) : names)

/** Placed folders that have a rest. */
const keptOf = ({ placements }: Filled, { modeless, placed }: Settled): ReadonlyArray<FilePath.FilePath> => [
  ...placed.flatMap((index) => placements[index]?.copied.rest.map(({ path }) => path) ?? []),
  ...modeless.flatMap((index) => placements[index]?.name ?? [])
]

/** Remembers the times of folders that have a rest: removals from a folder change its times. */
const noteTimes = Effect.fnUntraced(function*({ source }: Unit, paths: ReadonlyArray<FilePath.FilePath>) {
  const times = yield* FolderTimes
  const files = yield* Files.Files
  for (const path of paths) {
    const folder = FilePath.join(source, path)
    const stat = yield* files.find(folder)
    if (Option.isSome(stat)) yield* times.note(folder, stat.value)
  }
})

/** Whether a source is removed, apart from its rest. */
const isRemoved = ({ isFolder, name }: Placement, removed: Removed, kept: ReadonlyArray<FilePath.FilePath>): boolean =>
  removed.left.length === 0 && (!isFolder || removed.isGone || (kept.includes(name) && !removed.isFolderLeft))

const created = { _tag: "Create" } as const

/** The checkpoint of a source that could not be removed. */
const savedOf = Effect.fnUntraced(function*({ source, target }: Unit, { edition, path }: Removed["left"][number]) {
  const places = Effect.all([Place.open(FilePath.join(source, path)), Place.open(FilePath.join(target, path))])
  const copied = yield* Effect.flatMap(places, ([source, target]) => MovedSource.copiedOf(source, edition, target))
    .pipe(
      Effect.scoped,
      Effect.option
    )
  return { path, saved: { decision: created, ...Option.isSome(copied) ? { copied: copied.value } : {} } }
})

/** Removes the sources of placed copies, after a checkpoint that says which they are. */
const removeSources = Effect.fnUntraced(function*<E, R>(
  unit: Unit,
  filled: Filled,
  settled: Settled,
  perform: Perform<E, R>,
  moved: SavedCopy.Moved,
  isAgain: boolean
) {
  const { kept, placed } = moved
  yield* noteTimes(unit, kept)
  if (!isAgain) yield* SavedCopy.together.commit(moved)
  // A thread that dies leaves sources aside. Only the checkpoint of this task knows of them.
  const done = yield* Effect.option(
    Effect.catchDefect(perform({ unit, step: { _tag: "Remove", ...moved, isAgain } }), Effect.fail)
  )
  if (Option.isNone(done) || done.value._tag !== "Removed" || done.value.isStuck) return { ...notBegun, stuck: moved }
  const { removed } = done.value
  const left = settled.placed.flatMap((index, n) => {
    const [placement, became] = [placed[n], removed[n]]
    if (placement === undefined) return []
    return became !== undefined && isRemoved(placement, became, kept) ? [] : [{ index, placement, became }]
  })
  const isLeft = new Set(left.map(({ index }) => index))
  const { result } = resultOf(filled, {
    ...settled,
    placed: settled.placed.filter((index) => !isLeft.has(index)),
    modeless: settled.modeless.filter((index) => !isLeft.has(index))
  })
  // Some files of a folder that is left are removed.
  const gone = left.map(({ became, placement: { copied: { counts } } }) =>
    became === undefined ? 0 : counts.copied + counts.linked - became.left.length
  )
  return {
    ...result,
    copied: 0,
    linked: 0,
    moved: result.copied + result.linked + Num.sumAll(gone),
    ended: result.ended + Num.sumAll(left.map(({ became }) => became?.folders ?? 0)),
    made: left.map(({ placement }) => pathOf(placement)),
    unremoved: yield* Effect.forEach(left.flatMap(({ became }) => became?.left ?? []), (one) => savedOf(unit, one))
  } satisfies Copied
})

/** Places the copies after they are flushed. */
const placeLater = Effect.fnUntraced(function*<E, R>(
  unit: Unit,
  filled: Filled,
  flush: Flush,
  perform: Perform<E, R>
) {
  // A flush may take long. A copy without a name is made again by the next run.
  if ((yield* Interrupter.Interrupter).reason !== undefined) return nothingDone(unit)
  const { endings, placements } = filled
  const dropped = yield* linkedAmong(filled, unit)
  if (placements.length > 0) yield* flush.content([])
  // Some conflict modes would take copies of this run for files of others, and a move must know its own copies.
  const mustKnow = unit.isMove || SavedCopy.isKeptFirst(unit.conflict, yield* CopyOptions)
  const made = mustKnow ? placements.filter((_, index) => !dropped.includes(index)).map(pathOf) : []
  if (made.length > 0) yield* SavedCopy.together.commit({ made })
  const done = placements.length === 0
    ? undefined
    : yield* perform({ unit, step: { _tag: "Settle", placements, endings, dropped } })
  const settled = done?._tag === "Settled" ? done.settled : unsettled
  // Single copies flush the files that have their names, or write them anew.
  if (Exit.isFailure(yield* Effect.exit(flushNames(flush, filled)))) return leftTo(unit, made)
  const result = yield* told(filled, settled)
  if (!unit.isMove || settled.placed.length === 0) return result
  const [first = FilePath.empty] = unit.names
  const moved = {
    aside: temporaryName(yield* Lease.Lease, FilePath.make(`${FilePath.join(unit.source, first)}/`)),
    placed: settled.placed.flatMap((index) => placements[index] ?? []),
    kept: keptOf(filled, settled)
  }
  return yield* Effect.orElseSucceed(
    removeSources(unit, filled, settled, perform, moved, false),
    () => leftTo(unit, moved.placed.map(pathOf))
  )
})

/** Goes on with the removal of sources. Names that were not placed are copied anew. */
const removeAgain = <E, R>(
  unit: Unit,
  moved: SavedCopy.Moved,
  perform: Perform<E, R>
) => {
  const { placed } = moved
  const known = new Set(placed.map(({ name }) => name))
  const names = unit.names.filter((name) => !known.has(name))
  const filled = { ...untouched({ areFolders: unit.areFolders, names }), placements: placed }
  const isModeless = ({ copied: { rest }, isFolder, name }: Placement): boolean =>
    isFolder && moved.kept.includes(name) && !rest.some(({ path }) => path === name)
  const settled = {
    ...unsettled,
    placed: placed.map((_, index) => index),
    modeless: placed.flatMap((one, index) => isModeless(one) ? [index] : [])
  }
  return removeSources(unit, filled, settled, perform, moved, true)
}

/** Copies a unit, or moves it. */
export const copyUnit = <E, R>(
  unit: Unit,
  perform: Perform<E, R>
): Effect.Effect<Copied, E, R | Files.Files> =>
  Effect.gen(function*() {
    const recorded = yield* unit.waits ? SavedCopy.together.get : Effect.succeedNone
    if (Option.isSome(recorded)) {
      const { value } = recorded
      if ("made" in value) return leftTo(unit, value.made)
      if ("placed" in value) {
        return yield* Effect.orElseSucceed(removeAgain(unit, value, perform), () => ({ ...notBegun, stuck: value }))
      }
      return withLeft(unit, notBegun, SavedCopy.goingOn(unit.names, value))
    }
    const renamed = unit.isMove ? yield* Effect.orElseSucceed(renameHere(unit), () => nothingDone(unit)) : undefined
    if (renamed !== undefined) return renamed
    const target = yield* Effect.option(Files.Files.use((files) => files.folder(unit.target)))
    const flush = Option.isSome(target) ? yield* Effect.option(prepare(target.value)) : Option.none()
    // Single copies report the error, and flush file by file where the file system has no flush of everything.
    if (Option.isNone(target) || Option.isNone(flush) || !flush.value.isOne) return nothingDone(unit)
    // Single copies report the errors of names that were not placed.
    const removeDraft = Effect.ignore(TemporaryName.removeFolder(target.value, unit.draft))
    return yield* Effect.gen(function*() {
      const done = yield* perform({ unit, step: { _tag: "Fill" } })
      if (done._tag !== "Filled") return nothingDone(unit)
      const { filled, settled } = done
      return unit.waits
        ? yield* Effect.orElseSucceed(placeLater(unit, filled, flush.value, perform), () => nothingDone(unit))
        : yield* told(filled, settled ?? unsettled)
    }).pipe(Effect.ensuring(removeDraft))
  }).pipe(Effect.scoped)
