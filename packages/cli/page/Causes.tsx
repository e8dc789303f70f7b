/**
 * Shows why elements of a job failed: how many of each cause, and one example.
 */
import { type Detail, elements } from "./client.ts"
import { useLive } from "./live.ts"
import { to } from "./route.ts"
import { count, printable } from "./shown.ts"

const looked = 100

/** Address of the failures of a cause. The rarest causes are counted together, and listed with all. */
export const toCause = (id: string, cause: string): string =>
  to(["jobs", id, "failed"], { cause: cause === "others" ? null : cause })

/** Causes of a job, the commonest first. */
export const causesOf = (
  { progress: { causes } }: Pick<Detail, "progress">
): ReadonlyArray<readonly [string, number]> => Object.entries(causes).toSorted(([, a], [, b]) => b - a)

export const Causes = ({ job }: { readonly job: Detail }) => {
  const { value } = useLive(`${job.id} ${job.progress.failed}`, (signal) => elements(job.id, { limit: looked }, signal))
  return (
    <table>
      <thead>
        <tr>
          <th class="number">Count</th>
          <th>Cause</th>
          <th>One of them</th>
        </tr>
      </thead>
      <tbody>
        {causesOf(job).map(([cause, many]) => {
          const example = value?.items.find((item) => item.cause === cause)
          return (
            <tr key={cause}>
              <td class="number">{count(many)}</td>
              <td>
                <a href={toCause(job.id, cause)}>{printable(cause)}</a>
              </td>
              <td class="wrap">
                {example === undefined ? "" : <>{printable(example.key)}: {printable(example.message)}</>}
              </td>
            </tr>
          )
        })}
      </tbody>
    </table>
  )
}
