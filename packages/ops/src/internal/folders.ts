/**
 * Copies folders with all that is in them, as far as that is ordinary.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Lease from "@fanout/core/Lease"
import type * as Task from "@fanout/core/Task"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { CopyOptions } from "../CopyOptions.ts"
import type { CopiedFiles, CopyFiles } from "../CopyTask.ts"
import * as FilePath from "../FilePath.ts"
import * as Files from "../Files.ts"
import type * as Filter from "../Filter.ts"
import * as TemporaryName from "../TemporaryName.ts"
import { isKept } from "./attributes.ts"
import { Copying, countOwnersLost } from "./copying.ts"
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

/** Decides about folders, and counts what becomes of files in them. */
class Folders implements Files.FoldersCopier {
  counts = none
  isSpoiled = false
  readonly isAttributeKept: (name: string) => boolean
  readonly keepsOwner: boolean
  readonly isLeftOut: Filter.Filter
  private readonly copied: Copied

  constructor(copied: Copied) {
    this.copied = copied
    const { below, keeps: kept, rules } = copied.payload
    const keeps = new Set(kept)
    this.isAttributeKept = (name) => isKept(name, keeps)
    this.keepsOwner = keeps.has("owner")
    this.isLeftOut = leftOut(rules, below)
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
    const { mayWork, options, payload } = this.copied
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
    this.counts = {
      copied: this.counts.copied + copied,
      linked: this.counts.linked + linked,
      unchanged: this.counts.unchanged + unchanged,
      bytes: this.counts.bytes + bytes,
      ownersLost: this.counts.ownersLost + copier.ownersLost
    }
    const { names } = copier
    return [...alone.flatMap(({ index }) => names[index] ?? []), ...names.slice(names.length - left)]
  }

  mark(): () => void {
    const { counts, isSpoiled } = this
    return () => {
      this.counts = counts
      this.isSpoiled = isSpoiled
    }
  }
}

/**
 * As long it may take to finish a folder: what is left of one is copied by other elements, which takes longer for each.
 * Where it may take less for all, no more than that: nothing else has its turn on this thread meanwhile.
 */
const finishMillis = 100

/** Copies the folders that are named, here. After so many milliseconds it begins with no other one. */
export const copyFolders = Effect.fnUntraced(function*(
  payload: Payload,
  mostMillis: number
): Effect.fn.Return<CopiedFiles, never, Files.Files> {
  const stop = yield* Interrupter.Interrupter
  const lease = yield* Lease.Lease
  const clock = yield* Clock.Clock
  const started = clock.currentTimeMillisUnsafe()
  const within = (millis: number) => () =>
    stop.reason === undefined && lease.isHeldUnsafe() && clock.currentTimeMillisUnsafe() < started + millis
  const copier = new Folders({
    payload,
    lease,
    options: yield* CopyOptions,
    mayGoOn: within(mostMillis),
    mayWork: within(mostMillis + Math.min(mostMillis, finishMillis))
  })
  const { names, sizes, source, target } = payload
  const files = yield* Files.Files
  const copied = yield* files.copyFolders({ source, target, names, sizes, copier })
  const { left, ...folders } = Option.getOrElse(
    copied,
    () => ({ ended: 0, rest: [], untouched: names, left: 0, fewer: [] })
  )
  const { ownersLost, ...counts } = copier.counts
  yield* countOwnersLost(ownersLost)
  return { ...counts, alone: [], skipped: [], left, folders }
})
