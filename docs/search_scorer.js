// SPDX-License-Identifier: GPL-2.0-or-later
// The order of the site's search: answers for users first, decisions for developers last.
// The scores of matches are Sphinx's defaults. Source: sphinx/themes/basic/static/searchtools.js.
var Scorer = {
  score: ([page, title, anchor, description, score]) => {
    if (page === "questions") return score + 20;
    return page.startsWith("decisions/") ? score - 20 : score;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
