/**
 * Looks at many files where calls are quick.
 */
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import { isCode } from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"

/**
 * Looks at each path; `undefined` for a path that fails. Paths of the same folder have to follow one another. `None`
 * where calls are slow.
 */
export const lookAtAll = (
  paths: ReadonlyArray<FilePath.FilePath>
): Effect.Effect<Option.Option<ReadonlyArray<Files.FileStat | undefined>>, never, Files.Files> =>
  Files.Files.use(({ atOnce }) =>
    atOnce((calls) => {
      const found: Array<Files.FileStat | undefined> = []
      for (let at = 0; at < paths.length;) {
        const parent = FilePath.parent(paths[at] ?? FilePath.empty)
        const folder = calls.openPath(parent, "folder").now()
        for (; at < paths.length && FilePath.parent(paths[at] ?? FilePath.empty) === parent; at++) {
          const stat = isCode(folder) ? folder : calls.lstat(folder, FilePath.name(paths[at] ?? FilePath.empty)).now()
          found.push(isCode(stat) ? undefined : stat)
        }
        if (!isCode(folder)) calls.closeNow(folder)
      }
      return found
    })
  )
