/**
 * Copies or moves one unit: its draft is filled, flushed and compared as far as that is asked for, recorded where a run
 * after this one has to know, placed, and settled. Of a move the sources are removed then.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Lease from "@fanout/core/Lease"
import * as Progress from "@fanout/core/Progress"
import type * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { CopyOptions } from "../CopyOptions.ts"
import { lostUnits } from "../CopyStrategy.ts"
import type { CopyUnit, EntryCopied } from "../CopyTask.ts"
import * as FilePath from "../FilePath.ts"
import * as Files from "../Files.ts"
import * as TemporaryName from "../TemporaryName.ts"
import { type Flush, prepare } from "./durability.ts"
import * as HardLinks from "./linkedCopies.ts"
import * as Moving from "./moving.ts"
import * as ReadBack from "./readBack.ts"
import { renameEach } from "./renaming.ts"
import * as SavedCopy from "./savedCopy.ts"
import { type Filled, type Placement, resultOf, type Settled, type Unit, untouched } from "./units/copyUnit.ts"
import { unsettled } from "./units/placement.ts"

type Payload = Task.Payload<typeof CopyUnit>
type Done = Task.Success<typeof CopyUnit>

/** Has a step of a unit done, here or by others. */
export type Perform<E, R> = (payload: Payload) => Effect.Effect<Done, E, R>

/** What a unit has come to. */
export type Copied = Omit<Extract<typeof EntryCopied.Type, { readonly _tag: "Files" }>, "_tag">

const pathOf = ({ name, path }: Pick<Placement, "name" | "path">): FilePath.FilePath => FilePath.join(path, name)

const nothingDone = (unit: Unit): Copied => resultOf(untouched(unit), unsettled).result

/** A unit of which nothing is told yet. */
const notBegun: Copied = resultOf(untouched({ areFolders: false, names: [] }), unsettled).result

/** What is told of a unit whose work may be there, and goes on one by one. */
const leftTo = (unit: Unit, made: ReadonlyArray<FilePath.FilePath>): Copied => ({ ...nothingDone(unit), made })

/** Renames files of a move, where both folders are on one mount: from one to another nothing can be renamed. */
const renameHere = Effect.fnUntraced(function*(unit: Unit) {
  const files = yield* Files.Files
  const [from, to] = [yield* files.folder(unit.source), yield* files.folder(unit.target)]
  if (!Files.isOnSame(yield* from.identity, yield* to.identity)) return undefined
  // To tell their checksums each has to be read.
  if (unit.checksums !== undefined) return nothingDone(unit)
  const stop = yield* Interrupter.Interrupter
  const lease = yield* Lease.Lease
  const mayWork = () => stop.reason === undefined && lease.isHeldUnsafe()
  const { left, moved } = yield* renameEach({ from, to, names: unit.names, avoid: unit.avoid, mayWork })
  return withLeft(unit, { ...notBegun, moved }, left)
}, Effect.scoped)

/** Those of the placements that have other names, which are moved: theirs are to be names of the same copies. */
const linkedAmong = Effect.fnUntraced(function*({ placements }: Filled, { isMove, keeps }: Unit) {
  const namesOf = ({ copied }: Placement) => copied.editions.flatMap(({ linkedAs }) => linkedAs)
  const known = yield* HardLinks.known(isMove && keeps.includes("links") ? placements.flatMap(namesOf) : [])
  return placements.flatMap((one, index) => namesOf(one).some((name) => known.has(name)) ? [index] : [])
})

/** Removes sources whose copies have their names, once that is recorded of all of them. */
const removeSources = Effect.fnUntraced(function*(
  unit: Unit,
  placed: ReadonlyArray<Placement>,
  result: Copied
) {
  const files = yield* Files.Files
  const [from, to] = [yield* files.folder(unit.source), yield* files.folder(unit.target)]
  const stop = yield* Interrupter.Interrupter
  const lease = yield* Lease.Lease
  const records: Array<{ readonly index: number; readonly saved: SavedCopy.Saved }> = []
  for (const { copied: { editions: [edition] }, name } of placed) {
    const [source, target] = [{ folder: from, name }, { folder: to, name }]
    const copied = yield* Effect.option(Moving.copiedOf(source, edition?.editions[0] ?? "", target))
    const saved = Option.match(copied, { onNone: () => ({}), onSome: (copied) => ({ copied }) })
    records.push({ index: unit.names.indexOf(name), saved: { decision: created, ...saved } })
  }
  yield* SavedCopy.record(records)
  const left: Array<{ readonly index: number; readonly saved: SavedCopy.Saved }> = []
  for (const { index, saved } of records) {
    let last = saved.copied
    const note = (copied: SavedCopy.Copied) => Effect.sync(() => void (last = copied))
    const source = { folder: from, name: unit.names[index] ?? FilePath.empty }
    const isRemoved = saved.copied !== undefined && stop.reason === undefined && lease.isHeldUnsafe() &&
      Exit.isSuccess(yield* Effect.exit(Moving.remove(source, saved.copied, note)))
    if (!isRemoved) left.push({ index, saved: { ...saved, ...last === undefined ? {} : { copied: last } } })
  }
  return withLeft(unit, { ...result, copied: 0, linked: 0, moved: placed.length - left.length }, left)
}, Effect.scoped)

const created = { _tag: "Create" } as const

/** Adds names to what there is more to do in the folder of a unit, each with what it goes on from. */
const withLeft = (
  unit: Unit,
  result: Copied,
  left: ReadonlyArray<{ readonly index: number; readonly saved?: SavedCopy.Saved }>
): Copied => {
  const own = result.rest.find(({ path }) => path === "") ?? { path: FilePath.empty, names: [], folders: [], sizes: [] }
  const names = [...own.names, ...left.map(({ index }) => unit.names[index] ?? FilePath.empty)]
  const saved = left.flatMap(({ saved }, n) => saved === undefined ? [] : [{ index: own.names.length + n, saved }])
  return { ...result, rest: [...result.rest.filter((one) => one !== own), { ...own, names }], saved }
}

/** What became of a unit that nothing waits for, or whose names are on the device. */
const told = Effect.fnUntraced(function*(filled: Filled, settled: Settled) {
  const { ownersLost, result } = resultOf(filled, settled)
  if (ownersLost > 0) yield* Progress.add(lostUnits.owner, ownersLost)
  if (settled.verified > 0) yield* ReadBack.count(settled.verified)
  yield* Progress.add("bytes", result.bytes)
  return result
})

/** Flushes what was there before, too, where any was: it may be what a run before this one has not flushed. */
const flushNames = ({ earlier, names }: Flush, { unchanged }: Filled) =>
  Effect.flatMap(CopyOptions, ({ isDurable }) => isDurable && unchanged > 0 ? earlier([]) : names)

/** Places what waits for its names, once it is on the device. */
const placeLater = Effect.fnUntraced(function*<E, R>(
  unit: Unit,
  filled: Filled,
  flush: Flush,
  perform: Perform<E, R>
) {
  // A flush may take long, and what has no name then is done again.
  if ((yield* Interrupter.Interrupter).reason !== undefined) return nothingDone(unit)
  const { endings, placements } = filled
  const dropped = yield* linkedAmong(filled, unit)
  if (placements.length > 0) yield* flush.content([])
  // A mode could take its own work for somebody else's.
  const mustKnow = SavedCopy.isKeptFirst(unit.conflict, yield* CopyOptions)
  const made = mustKnow ? placements.filter((_, index) => !dropped.includes(index)).map(pathOf) : []
  if (made.length > 0) yield* SavedCopy.recordMade(made)
  const done = placements.length === 0
    ? undefined
    : yield* perform({ unit, step: { _tag: "Settle", placements, endings, dropped } })
  const settled = done?._tag === "Settled" ? done.settled : unsettled
  // What is there by now is flushed by others, or written anew.
  if (Exit.isFailure(yield* Effect.exit(flushNames(flush, filled)))) return leftTo(unit, made)
  const result = yield* told(filled, settled)
  const placed = settled.placed.flatMap((index) => placements[index] ?? [])
  if (!unit.isMove || placed.length === 0) return result
  return yield* Effect.orElseSucceed(removeSources(unit, placed, result), () => leftTo(unit, placed.map(pathOf)))
})

/** Copies a unit, or moves it. */
export const copyUnit = <E, R>(
  unit: Unit,
  perform: Perform<E, R>
): Effect.Effect<Copied, E, R | Files.Files> =>
  Effect.gen(function*() {
    const recorded = yield* unit.waits ? SavedCopy.recorded : Effect.succeedNone
    if (Option.isSome(recorded)) {
      return "made" in recorded.value
        ? leftTo(unit, recorded.value.made)
        : withLeft(unit, notBegun, SavedCopy.goingOn(unit.names, recorded.value))
    }
    const renamed = unit.isMove && !unit.areFolders
      ? yield* Effect.orElseSucceed(renameHere(unit), () => nothingDone(unit))
      : undefined
    if (renamed !== undefined) return renamed
    const target = yield* Effect.option(Files.Files.use((files) => files.folder(unit.target)))
    const flush = Option.isSome(target) ? yield* Effect.option(prepare(target.value)) : Option.none()
    // Others say what came in the way, and flush one by one where there is no flush of all.
    if (Option.isNone(target) || Option.isNone(flush) || !flush.value.isOne) return nothingDone(unit)
    // Others say what came in the way of what has not got its name.
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
