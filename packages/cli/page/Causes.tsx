/**
 * Shows why elements of a job failed: how many of each cause, and one example.
 */
import { useRef } from "preact/hooks"
import { type Detail, type Element, elements } from "./client.ts"
import { useLive } from "./live.ts"
import { to } from "./route.ts"
import { count, printable } from "./shown.ts"

/** How the causes are named together that are too many. */
const others = "others"

/** Address of the failures of a cause. The rarest causes are counted together, and listed with all. */
export const toCause = (id: string, cause: string): string =>
  to(["jobs", id, "failed"], { cause: cause === others ? null : cause })

/** Causes of a job, the commonest first. */
export const causesOf = (
  { progress: { causes } }: Pick<Detail, "progress">
): ReadonlyArray<readonly [string, number]> => Object.entries(causes).toSorted(([, a], [, b]) => b - a)

/** An element of each cause. What was read once is an example for good. */
const useExamples = (job: Detail): ReadonlyMap<string, Element> => {
  const examples = useRef(new Map<string, Element>())
  useLive(`${job.id} ${causesOf(job).length}`, async (signal) => {
    const lacking = causesOf(job).filter(([cause]) => cause !== others && !examples.current.has(cause))
    const found = await Promise.all(lacking.map(([cause]) => elements(job.id, { cause, limit: 1 }, signal)))
    for (const item of found.flatMap(({ items }) => items)) examples.current.set(item.cause ?? "", item)
  })
  return examples.current
}

export const Causes = ({ job }: { readonly job: Detail }) => {
  const examples = useExamples(job)
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
          const example = examples.get(cause)
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
