/**
 * Copies folders with all that is in them, as far as that is ordinary.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Lease from "@fanout/core/Lease"
import type * as Task from "@fanout/core/Task"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Num from "effect/Number"
import * as Option from "effect/Option"
import { CopyOptions } from "../CopyOptions.ts"
import type { CopiedFiles, CopyFiles } from "../CopyTask.ts"
import * as FilePath from "../FilePath.ts"
import * as Files from "../Files.ts"
import type * as Filter from "../Filter.ts"
import * as TemporaryName from "../TemporaryName.ts"
import { isKept } from "./attributes.ts"
import { Copying, countOwnersLost } from "./copying.ts"
import { prepare } from "./durability.ts"
import { leftOut } from "./leavingOut.ts"
import { temporaryName } from "./placing.ts"

type Payload = Task.Payload<typeof CopyFiles>

interface Copied {
  readonly payload: Payload
  readonly options: CopyOptions
  readonly lease: Lease.Lease
  /** Whether the job may go on here, with one more folder. */
  readonly mayGoOn: () => boolean
  /** Whether it may go on with a folder that it has begun. */
  readonly mayWork: () => boolean
}

interface Counts extends Pick<CopiedFiles, "copied" | "linked" | "unchanged" | "bytes"> {
  readonly ownersLost: number
}

const none: Counts = { copied: 0, linked: 0, unchanged: 0, bytes: 0, ownersLost: 0 }

/** What both come to; or the first without the second. */
const sum = (a: Counts, b: Counts, sign: 1 | -1 = 1): Counts => ({
  copied: a.copied + sign * b.copied,
  linked: a.linked + sign * b.linked,
  unchanged: a.unchanged + sign * b.unchanged,
  bytes: a.bytes + sign * b.bytes,
  ownersLost: a.ownersLost + sign * b.ownersLost
})

/** Folders that nothing was done with. */
const untouched = (names: ReadonlyArray<FilePath.FilePath>): Files.FoldersCopied => ({
  ended: 0,
  rest: [],
  untouched: names,
  left: 0,
  fewer: []
})

/** Decides about folders, and counts what becomes of files in them. */
class Folders implements Files.FoldersCopier {
  counts = none
  isSpoiled = false
  readonly isAttributeKept: (name: string) => boolean
  readonly keepsOwner: boolean
  readonly isLeftOut: Filter.Filter
  readonly hold: Files.FoldersCopier["hold"]
  /** Folders that have no names yet, and what was counted in each. */
  readonly held: Array<{ readonly folder: Files.HeldFolder; readonly counts: Counts }> = []
  /** What was counted before the folder that is filled. */
  private marked = none
  private readonly copied: Copied

  constructor(copied: Copied) {
    this.copied = copied
    const { below, keeps: kept, rules } = copied.payload
    const keeps = new Set(kept)
    this.isAttributeKept = (name) => isKept(name, keeps)
    this.keepsOwner = keeps.has("owner")
    this.isLeftOut = leftOut(rules, below)
    const hold = (folder: Files.HeldFolder) =>
      void this.held.push({ folder, counts: sum(this.counts, this.marked, -1) })
    this.hold = copied.options.isDurable ? hold : undefined
  }

  readonly ownerLost = (): void => {
    this.counts = { ...this.counts, ownersLost: this.counts.ownersLost + 1 }
  }

  readonly mayGoOn = (): boolean => this.counts.bytes < this.copied.payload.mostBytes && this.copied.mayGoOn()

  // Whoever must stop gives what is there its name: else it would have to be copied once more.
  readonly mayPublish = (): boolean => this.copied.lease.isHeldUnsafe()

  readonly temporaryName = (path: FilePath.FilePath): FilePath.FilePath =>
    temporaryName(this.copied.lease, FilePath.join(this.copied.payload.target, path))

  // As at the end of any other folder.
  get isLeftover(): Files.FoldersCopier["isLeftover"] {
    const { job, token } = this.copied.lease
    if (token === 1 || Option.isNone(job)) return undefined
    return (name) => TemporaryName.isOf(job.value, name, token)
  }

  files(names: ReadonlyArray<FilePath.FilePath>, isOwn: boolean): ReturnType<Files.FoldersCopier["files"]> {
    const { mayWork, payload } = this.copied
    // The folder waits for its flush, and all that is in it.
    const options = { ...this.copied.options, isDurable: false }
    const mostBytes = payload.mostBytes - this.counts.bytes
    const limit = names.length
    const copier = new Copying({
      payload: { ...payload, mostBytes },
      names,
      options,
      limit,
      mayWork,
      isOwn
    })
    return { copier, rest: () => this.rest(copier) }
  }

  private rest(copier: Copying): ReadonlyArray<FilePath.FilePath> {
    copier.leaveRest()
    copier.giveBack()
    const { alone, bytes, copied, left, linked, unchanged } = copier.result
    this.isSpoiled ||= copier.isSpoiled
    this.counts = sum(this.counts, { copied, linked, unchanged, bytes, ownersLost: copier.ownersLost })
    const { names } = copier
    return [...alone.flatMap(({ index }) => names[index] ?? []), ...names.slice(names.length - left)]
  }

  mark(): () => void {
    const { counts, isSpoiled } = this
    this.marked = counts
    return () => {
      this.counts = counts
      this.isSpoiled = isSpoiled
    }
  }

  /** Takes that nothing was done. */
  forget(): Files.FoldersCopied {
    this.counts = none
    return untouched(this.copied.payload.names)
  }

  /** Takes that folders which were held have their names, or are removed, and gives what all came to. */
  placed(copied: Files.FoldersCopied, placed: Files.PlacedFolders): Files.FoldersCopied {
    const held = this.held.splice(0)
    const gone = held.filter((_, index) => placed[index] === "removed")
    for (const { counts } of gone) this.counts = sum(this.counts, counts, -1)
    const names = new Set(gone.map(({ folder }) => folder.name))
    const there = held.flatMap(({ folder }) => names.has(folder.name) ? [] : [folder.below])
    const ended = placed.filter((how) => how === "ended").length
    // Those that are whole, and could not be given mode or times.
    const unended = held.filter(({ folder: { source } }, index) => source !== undefined && placed[index] === "placed")
    return {
      left: copied.left,
      untouched: [...copied.untouched, ...names],
      fewer: copied.fewer.filter(({ path }) => !names.has(path)),
      ended: ended + Num.sumAll(there.map((below) => below.ended)),
      rest: [
        ...copied.rest,
        ...there.flatMap(({ rest }) => rest),
        ...unended.map(({ folder: { name } }) => ({ path: name, names: [], folders: [], sizes: [] }))
      ]
    }
  }
}

/**
 * As long it may take to finish a folder: what is left of one is copied by other elements, which takes longer for each.
 * Where it may take less for all, no more than that: nothing else has its turn on this thread meanwhile.
 */
const finishMillis = 100

const copyHere = Effect.fnUntraced(function*({ names, sizes, source, target }: Payload, copier: Folders) {
  const files = yield* Files.Files
  const copied = yield* files.copyFolders({ source, target, names, sizes, copier })
  return Option.getOrElse(copied, () => untouched(names))
})

/** Gives new folders their names once all that is in them is on the device, for all of them at once. */
const copyDurably = Effect.fnUntraced(function*(payload: Payload, copier: Folders) {
  const files = yield* Files.Files
  const { target } = payload
  const folder = yield* files.folder(target)
  const flush = yield* prepare(folder)
  const copyAndPlace = Effect.gen(function*() {
    const copied = yield* copyHere(payload, copier)
    if (copier.held.length === 0) return copied
    yield* flush.content([])
    const held = copier.held.map(({ folder }) => folder)
    const placed = yield* files.placeFolders({ target, held, copier })
    if (Option.isNone(placed)) return copier.forget()
    const done = copier.placed(copied, placed.value)
    yield* flush.names
    return done
  })
  const remove = Effect.suspend(() =>
    Effect.forEach(
      copier.held,
      ({ folder: { temporary } }) => Effect.ignore(TemporaryName.removeFolder(folder, temporary)),
      { discard: true }
    )
  )
  return flush.isOne ? yield* Effect.ensuring(copyAndPlace, remove) : copier.forget()
}, Effect.scoped)

/** Copies the folders that are named, here. After so many milliseconds it begins with no other one. */
export const copyFolders = Effect.fnUntraced(function*(
  payload: Payload,
  mostMillis: number
): Effect.fn.Return<CopiedFiles, never, Files.Files> {
  const stop = yield* Interrupter.Interrupter
  const lease = yield* Lease.Lease
  const clock = yield* Clock.Clock
  const options = yield* CopyOptions
  const started = clock.currentTimeMillisUnsafe()
  const within = (millis: number) => () =>
    stop.reason === undefined && lease.isHeldUnsafe() && clock.currentTimeMillisUnsafe() < started + millis
  const copier = new Folders({
    payload,
    lease,
    options,
    mayGoOn: within(mostMillis),
    mayWork: within(mostMillis + Math.min(mostMillis, finishMillis))
  })
  // What could not be flushed is copied by others, who say so: what is there by now they flush, or write anew.
  const { left, ...folders } = options.isDurable
    ? yield* Effect.orElseSucceed(copyDurably(payload, copier), () => copier.forget())
    : yield* copyHere(payload, copier)
  const { ownersLost, ...counts } = copier.counts
  yield* countOwnersLost(ownersLost)
  return { ...counts, alone: [], skipped: [], left, folders }
})
