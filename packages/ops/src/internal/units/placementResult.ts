/**
 * Collects the results of one placement.
 */
import type * as FilePath from "../../FilePath.ts"
import type { Lost } from "../../ProgressUnits.ts"
import { type Copied, type Losses, type Rest, sumOf } from "../steps/unit.ts"

interface File {
  /** Path of the folder that it is in. */
  readonly path: FilePath.FilePath
  readonly name: FilePath.FilePath
}

/** Groups files by their folders. */
const byFolder = <A extends File, B>(files: ReadonlyArray<A>, tell: (files: ReadonlyArray<A>) => B) =>
  Array.from(
    Map.groupBy(files, ({ path }) => path),
    ([path, files]) => ({ path, names: files.map(({ name }) => name), ...tell(files) })
  )

/** Results of one placement: of a file, or of everything in a folder. */
export class Bucket {
  readonly counts = { copied: 0, linked: 0, bytes: 0, ended: 0 }
  losses: Losses | undefined
  readonly rest: Array<Rest> = []
  readonly digests: Array<File & { readonly digest: string }> = []
  readonly editions: Array<File & { readonly edition: string; readonly linkedAs: string }> = []

  /** Notes what one copy could not be given. */
  lose(lost: ReadonlyArray<Lost>): void {
    for (const property of lost) this.losses = sumOf([this.losses, { [property]: 1 }])
  }

  get copied(): Copied {
    const { counts, digests, editions, losses, rest } = this
    return {
      counts: losses === undefined ? counts : { ...counts, lost: losses },
      rest,
      digests: byFolder(digests, (files) => ({ digests: files.map(({ digest }) => digest) })),
      editions: byFolder(editions, (files) => ({
        editions: files.map(({ edition }) => edition),
        linkedAs: files.map(({ linkedAs }) => linkedAs)
      }))
    }
  }
}
